import type { ICodeCellModel } from '@jupyterlab/cells';
import { isCodeCellModel } from '@jupyterlab/cells';
import type { DocumentRegistry } from '@jupyterlab/docregistry';
import type { IDisplayData, IMimeBundle } from '@jupyterlab/nbformat';
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { Kernel } from '@jupyterlab/services';
import { KernelMessage } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';

import { appendRecovered } from '../../kernels/outputs/recovered';
import type { OutputsService } from '../../kernels/outputs/service';

import { cardOf } from './card';
import type { IKeptCard, KeptCards } from './saved-states';
import { outputOf } from './saved-states';
import type { LiveCards } from './model';

const ENDED: Kernel.Status[] = ['restarting', 'autorestarting', 'dead'];

/**
 * Updates a notebook's cards from its kernel, also cards older than the page:
 * an output area only knows displays that it saw.
 */
export class NotebookCards {
  constructor(private _options: NotebookCards.IOptions) {
    const { sessionContext, context, disposed } = _options.panel;
    sessionContext.kernelChanged.connect(this._onKernel, this);
    context.saveState.connect(this._onSave, this);
    disposed.connect(() => Signal.clearData(this));
    this._onKernel();
    void context.ready.then(() => this._giveBack());
  }

  private _onKernel(): void {
    const kernel = this._options.panel.sessionContext.session?.kernel ?? null;
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
      this._options.cards.forget(id);
    }
  }

  private _onMessage(
    { id }: Kernel.IKernelConnection,
    message: KernelMessage.IIOPubMessage
  ): void {
    this._options.cards.hear(id, message);
    if (KernelMessage.isUpdateDisplayDataMsg(message)) {
      const { data, metadata, transient } = message.content;
      const found = this._find(transient.display_id);
      found?.cell.outputs.set(found.index, {
        output_type: 'display_data',
        data: data as IMimeBundle,
        metadata: metadata as IDisplayData['metadata']
      });
    } else if (KernelMessage.isDisplayDataMsg(message)) {
      this._keep(message);
    }
  }

  /**
   * Keep the card until the notebook is saved, because a reload would lose it.
   */
  private _keep(message: KernelMessage.IDisplayDataMsg): void {
    const { data } = message.content;
    const displayId = cardOf(data)?.display_id;
    const found = displayId && this._find(displayId);
    if (found) {
      this._options.kept.add({
        path: this._options.panel.context.path,
        displayId,
        cell: found.cell.id,
        code: found.cell.sharedModel.getSource(),
        msgId: (message.parent_header as { msg_id: string }).msg_id,
        data: data as IMimeBundle
      });
    }
  }

  private _onSave(_: unknown, state: DocumentRegistry.SaveState): void {
    const { kept, panel } = this._options;
    if (state === 'started') {
      this._saving = kept.of(panel.context.path).map(card => card.displayId);
    } else if (state === 'completed') {
      kept.drop(new Set(this._saving));
    }
  }

  /** Show the cards that were not yet saved when the page was left. */
  private async _giveBack(): Promise<void> {
    const { kept, panel, service, trans } = this._options;
    const cards = kept.of(panel.context.path);
    if (cards.length === 0) {
      return;
    }
    await panel.sessionContext.ready;
    const kernel = panel.sessionContext.session?.kernel?.id;
    const ids = cards.map(card => card.msgId);
    // Outputs that the server recorded come back with all other outputs.
    const recorded = kernel
      ? await service.executions(kernel, ids).catch(() => null)
      : null;
    const known = new Set(recorded?.executions.map(each => each.msg_id));
    const model = panel.content.model;
    const homeless: IKeptCard[] = [];
    for (const card of cards) {
      if (!model || known.has(card.msgId) || this._find(card.displayId)) {
        continue;
      }
      const cell = this._cells().find(each => each.id === card.cell);
      if (cell?.sharedModel.getSource() === card.code) {
        cell.outputs.fromJSON([outputOf(card)]);
      } else {
        homeless.push(card);
      }
    }
    if (model) {
      const lost = homeless.map(card => ({
        msg_id: card.msgId,
        code: card.code,
        outputs: [outputOf(card)],
        execution_count: null
      }));
      appendRecovered(model.sharedModel, lost, trans);
    }
  }

  private _find(
    displayId: string
  ): { cell: ICodeCellModel; index: number } | undefined {
    for (const cell of this._cells()) {
      for (let index = 0; index < cell.outputs.length; index++) {
        const card = cardOf(cell.outputs.get(index).data);
        if (card?.display_id === displayId) {
          return { cell, index };
        }
      }
    }
    return undefined;
  }

  private _cells(): ICodeCellModel[] {
    const cells = this._options.panel.content.model?.cells ?? [];
    return Array.from(cells).filter(isCodeCellModel);
  }

  private _kernel: Kernel.IKernelConnection | null = null;
  /** The kept cards at the begin of the save that is running. */
  private _saving: string[] = [];
}

export namespace NotebookCards {
  export interface IOptions {
    panel: NotebookPanel;
    cards: LiveCards;
    kept: KeptCards;
    service: Pick<OutputsService, 'executions'>;
    trans: TranslationBundle;
  }
}
