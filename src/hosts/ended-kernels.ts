import type { ISessionContext } from '@jupyterlab/apputils';
import { Dialog, Notification, showDialog } from '@jupyterlab/apputils';
import type { Cell } from '@jupyterlab/cells';
import type {
  INotebookTracker,
  KernelError,
  Notebook,
  NotebookPanel
} from '@jupyterlab/notebook';
import { NotebookActions } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';

import { ApiError } from '../core';

/** The name of the error for code that was sent to a kernel that has ended. */
const ENDED = 'KernelEnded';

/**
 * Offers a restart where cells were refused because their kernel has ended. The
 * refused cells run after the restart only when the user confirms it.
 */
export class EndedKernels implements IDisposable {
  constructor(private _options: EndedKernels.IOptions) {
    NotebookActions.executed.connect(this._onExecuted, this);
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    this._isDisposed = true;
    NotebookActions.executed.disconnect(this._onExecuted, this);
  }

  private _onExecuted(
    _: unknown,
    run: { notebook: Notebook; cell: Cell; error?: KernelError | null }
  ): void {
    if (run.error?.errorName !== ENDED) {
      return;
    }
    const panel = this._options.notebooks.find(
      ({ content }) => content === run.notebook
    );
    const asked = panel && this._refused.get(panel);
    if (asked) {
      asked.push(run.cell);
    } else if (panel) {
      const refused = [run.cell];
      this._refused.set(panel, refused);
      void this._offer(panel, refused, run.error.errorValue).finally(() =>
        this._refused.delete(panel)
      );
    }
  }

  /**
   * `refused` grows while the dialog is open: of many cells run at once, each
   * is reported alone.
   */
  private async _offer(
    { content, context, sessionContext }: NotebookPanel,
    refused: readonly Cell[],
    why: string
  ): Promise<void> {
    const { trans } = this._options;
    const { button } = await showDialog({
      title: trans.__('The kernel of “%1” has ended', context.localPath),
      body: trans.__(
        '%1 Its variables are lost, its outputs stay. No cell was run.',
        why
      ),
      buttons: [
        Dialog.cancelButton(),
        Dialog.createButton({
          label: trans.__('Restart'),
          caption: trans.__('Restart the kernel without running any cell'),
          accept: false,
          actions: ['restart']
        }),
        Dialog.okButton({
          label: trans.__('Restart and run'),
          caption: trans.__('Restart the kernel, then run the refused cells'),
          actions: ['restart', 'run']
        })
      ]
    });
    if (!button.actions.includes('restart')) {
      return;
    }
    try {
      await restartEnded(sessionContext);
    } catch (reason) {
      const error = ApiError.from(reason, trans);
      Notification.error(`${error.message} ${error.hint}`.trim());
      return;
    }
    if (button.actions.includes('run')) {
      const cells = refused.filter(cell => !cell.isDisposed);
      await NotebookActions.runCells(content, cells, sessionContext);
    }
  }

  private _refused = new Map<NotebookPanel, Cell[]>();
  private _isDisposed = false;
}

export namespace EndedKernels {
  export interface IOptions {
    notebooks: Pick<INotebookTracker, 'find'>;
    trans: TranslationBundle;
  }
}

/** Restart the kernel of a session whose kernel has ended. */
export async function restartEnded(session: ISessionContext): Promise<void> {
  const kernel = session.session?.kernel;
  // JupyterLab drops a kernel once it has seen it dead.
  await (kernel?.status === 'dead'
    ? session.changeKernel({ name: kernel.name })
    : session.restartKernel());
}
