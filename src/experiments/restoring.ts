import { Notification } from '@jupyterlab/apputils';
import { PathExt } from '@jupyterlab/coreutils';
import type { INotebookTracker } from '@jupyterlab/notebook';
import type { Contents } from '@jupyterlab/services';
import { ServerConnection } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';

import type { IRestoredNotebook } from './service';

/** Beside the notebook that is open, else where the Lab's files begin. */
export function folderOf(
  notebooks: INotebookTracker | null,
  contents: Contents.IManager
): string {
  const path = notebooks?.currentWidget?.context.path ?? '';
  return PathExt.dirname(contents.localPath(path));
}

/** Tell where the notebook is, and what it lacks. */
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
        '%2 is restored. %1 secret was taken out before it was kept: a mark stands in its place.',
        '%2 is restored. %1 secrets were taken out before they were kept: marks stand in their places.',
        marks,
        name
      ),
      { autoClose: false } // it stays until it was read
    );
  } else {
    Notification.success(trans.__('%1 is restored.', name), {
      autoClose: 5000
    });
  }
}

/** A name is looked for so many times; then the notebook keeps the one that Jupyter gave it. */
const TRIES = 20;
const TAKEN = 409;

/**
 * Write a restored notebook into a folder of the Lab's, under a name that is
 * free, and return its path.
 *
 * All goes through the contents API, so that it lands where the Lab has its
 * files, whatever these are. A new file is made first and renamed then:
 * neither writes over another file, as a plain save would.
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
