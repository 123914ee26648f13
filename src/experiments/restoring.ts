import { Notification } from '@jupyterlab/apputils';
import { PathExt } from '@jupyterlab/coreutils';
import type { INotebookTracker } from '@jupyterlab/notebook';
import type { Contents } from '@jupyterlab/services';
import { ServerConnection } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';

import type { IRestoredNotebook } from './service';

/** The folder of the open notebook, else the root of the Lab's files. */
export function folderOf(
  notebooks: INotebookTracker | null,
  contents: Contents.IManager
): string {
  const path = notebooks?.currentWidget?.context.path ?? '';
  return PathExt.dirname(contents.localPath(path));
}

/** Say where the notebook is, and how many secrets it lacks. */
export function tellRestored(
  { redacted = {} }: IRestoredNotebook,
  path: string,
  trans: TranslationBundle
): void {
  const marks = Object.values(redacted).reduce((sum, one) => sum + one, 0);
  const name = PathExt.basename(path);
  if (marks) {
    Notification.warning(
      trans._n(
        '%2 is restored. A mark replaces %1 secret.',
        '%2 is restored. Marks replace %1 secrets.',
        marks,
        name
      ),
      { autoClose: false } // it stays until it is read
    );
  } else {
    Notification.success(trans.__('%1 is restored.', name), {
      autoClose: 5000
    });
  }
}

/**
 * Attempts to find a free name; after them the notebook keeps Jupyter's own
 * name.
 */
const TRIES = 20;
const TAKEN = 409;

/**
 * Write a restored notebook into a folder of the Lab under a free name, and
 * return its path.
 *
 * All goes through the contents API, so that the notebook lands wherever the
 * Lab has its files. A new file is made first and then renamed: neither
 * overwrites another file, as a plain save would.
 */
export async function writeRestored(
  contents: Pick<Contents.IManager, 'newUntitled' | 'save' | 'rename'>,
  restored: IRestoredNotebook,
  folder: string
): Promise<string> {
  const made = await contents.newUntitled({ path: folder, type: 'notebook' });
  await contents.save(made.path, {
    type: 'notebook',
    format: 'json',
    content: restored.notebook
  });
  const parent = PathExt.dirname(made.path);
  for (let number = 0; number < TRIES; number++) {
    const wanted = PathExt.join(parent, numbered(restored.name, number));
    try {
      return (await contents.rename(made.path, wanted)).path;
    } catch (error) {
      const taken =
        error instanceof ServerConnection.ResponseError &&
        error.response.status === TAKEN;
      if (!taken) {
        break;
      }
    }
  }
  return made.path;
}

function numbered(name: string, number: number): string {
  const ending = PathExt.extname(name);
  const stem = name.slice(0, name.length - ending.length);
  return number === 0 ? name : `${stem}-${number}${ending}`;
}
