import { isCodeCellModel } from '@jupyterlab/cells';
import type { IDisplayData } from '@jupyterlab/nbformat';
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { Kernel } from '@jupyterlab/services';
import { KernelMessage } from '@jupyterlab/services';
import { Signal } from '@lumino/signaling';

import { cardOf } from './card';
import type { LiveCards } from './model';

const ENDED: Kernel.Status[] = ['restarting', 'autorestarting', 'dead'];

/**
 * Keeps the cards of a notebook up to date with its kernel, those also that began before the page was loaded:
 * an output area knows only the displays that it saw come.
 */
export class NotebookCards {
  constructor(
    private _panel: NotebookPanel,
    private _cards: LiveCards
  ) {
    _panel.sessionContext.kernelChanged.connect(this._onKernel, this);
    _panel.disposed.connect(() => Signal.clearData(this));
    this._onKernel();
  }

  private _onKernel(): void {
    const kernel = this._panel.sessionContext.session?.kernel ?? null;
    if (kernel !== this._kernel) {
      this._kernel?.iopubMessage.disconnect(this._onMessage, this);
      this._kernel?.statusChanged.disconnect(this._onStatus, this);
      this._kernel = kernel;
      kernel?.iopubMessage.connect(this._onMessage, this);
      kernel?.statusChanged.connect(this._onStatus, this);
    }
  }

  private _onStatus(
    { id }: Kernel.IKernelConnection,
    status: Kernel.Status
  ): void {
    if (ENDED.includes(status)) {
      this._cards.forget(id);
    }
  }

  private _onMessage(
    { id }: Kernel.IKernelConnection,
    message: KernelMessage.IIOPubMessage
  ): void {
    this._cards.hear(id, message);
    if (KernelMessage.isUpdateDisplayDataMsg(message)) {
      const { data, metadata, transient } = message.content;
      this._replace(transient.display_id, {
        output_type: 'display_data',
        data: data as IDisplayData['data'],
        metadata: metadata as IDisplayData['metadata']
      });
    }
  }

  /** Put the picture that a card ends as in its place. */
  private _replace(displayId: string, picture: IDisplayData): void {
    for (const cell of this._panel.content.model?.cells ?? []) {
      const outputs = isCodeCellModel(cell) ? cell.outputs : null;
      for (let index = 0; index < (outputs?.length ?? 0); index++) {
        const card = cardOf(outputs?.get(index).data);
        if (card?.display_id === displayId) {
          outputs?.set(index, picture);
        }
      }
    }
  }

  private _kernel: Kernel.IKernelConnection | null = null;
}
