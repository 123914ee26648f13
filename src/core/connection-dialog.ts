import { Dialog } from '@jupyterlab/apputils';
import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import type { ITranslator } from '@jupyterlab/translation';

const AGAIN_MS = 1000;

/**
 * Close JupyterLab's "Server Connection Error" as soon as the server answers again, then call `onBack`. JupyterLab
 * itself leaves the dialog over a notebook that works again.
 */
export function closeWhenBack(
  translator: ITranslator,
  settings: ServerConnection.ISettings,
  onBack: () => void
): void {
  const trans = translator.load('jupyterlab');
  const title = trans.__('Server Connection Error');
  Dialog.tracker.widgetAdded.connect((_, dialog) => {
    void isBack(dialog, title, settings).then(back => {
      if (back) {
        dialog.reject();
        onBack();
      }
    });
  });
}

/** Poll until the server answers (true), or the dialog is closed or turns out to be another one (false). */
async function isBack(
  dialog: Dialog<unknown>,
  title: string,
  settings: ServerConnection.ISettings
): Promise<boolean> {
  const url = URLExt.join(settings.baseUrl, 'api/status');
  for (;;) {
    await new Promise(resolve => window.setTimeout(resolve, AGAIN_MS));
    // A dialog is drawn once its page is visible and the dialogs before it are closed.
    const header = dialog.node.querySelector('.jp-Dialog-header')?.textContent;
    if (dialog.isDisposed || (header && header !== title)) {
      return false;
    }
    if (header && (await answers(url, settings))) {
      return !dialog.isDisposed;
    }
  }
}

async function answers(
  url: string,
  settings: ServerConnection.ISettings
): Promise<boolean> {
  try {
    return (await ServerConnection.makeRequest(url, {}, settings)).ok;
  } catch {
    return false; // no answer yet
  }
}
