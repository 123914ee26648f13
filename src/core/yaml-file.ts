/** YAML files of the user: choose one, and read it as it is saved. */
import type { IFileBrowserFactory } from '@jupyterlab/filebrowser';
import type { Contents } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';

import { ApiError } from './errors';

/** A file in the folder of JupyterLab. */
export interface IYamlFile {
  path: string;
  /** The text as it is saved now. */
  read: () => Promise<string>;
}

/** The file of a path of the file browser. */
export function yamlFile(contents: Contents.IManager, path: string): IYamlFile {
  const options = { type: 'file', format: 'text', content: true } as const;
  return {
    path: contents.localPath(path),
    read: async () => (await contents.get(path, options)).content as string
  };
}

/** Let the person choose a file; empty if none is chosen. */
export async function chooseYamlFile(
  files: IFileBrowserFactory,
  title: string
): Promise<string> {
  const browser = files.tracker.currentWidget;
  if (!browser) {
    return '';
  }
  const { FileDialog } = await import('@jupyterlab/filebrowser');
  const { button, value } = await FileDialog.getOpenFiles({
    manager: browser.model.manager,
    title,
    defaultPath: browser.model.path,
    filter: item => (item.type === 'directory' || isFile(item) ? {} : null)
  });
  return (button.accept && value?.find(isFile)?.path) || '';
}

function isFile({ type, name }: Contents.IModel): boolean {
  return type !== 'directory' && /\.ya?ml$/i.test(name);
}

/** Why a file cannot be read, as an error of a form; it is not the file's fault if the server is away. */
export function unreadable(
  path: string,
  reason: unknown,
  trans: TranslationBundle
): ApiError {
  const error = ApiError.from(reason, trans);
  if (error.code === 'network') {
    return error;
  }
  return new ApiError({
    status: 0,
    code: 'unreadable',
    message: trans.__('The file %1 cannot be read.', path),
    hint: error.message
  });
}
