import { Dialog, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';

/** Ask before an action that cannot be undone. Resolves to whether the user agreed. */
export async function confirm(options: IConfirmOptions): Promise<boolean> {
  const { title, body, action, danger, trans } = options;
  const accept = danger ? Dialog.warnButton : Dialog.okButton;
  const result = await showDialog({
    title,
    body,
    buttons: [
      Dialog.cancelButton({ label: trans.__('Cancel') }),
      accept({ label: action })
    ],
    // Enter cancels a destructive action.
    defaultButton: danger ? 0 : 1
  });
  return result.button.accept;
}

export interface IConfirmOptions {
  title: string;
  body: Dialog.Body<unknown>;
  /** The verb on the button: "Stop", never "OK". */
  action: string;
  danger?: boolean;
  trans: TranslationBundle;
}
