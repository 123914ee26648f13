import type { IRenderMime } from '@jupyterlab/rendermime';
import type { Message } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';

import type { IGenOpsCore } from '../../core';

import type { ICard } from './card';
import { cardOf, MIME } from './card';
import type { CardModel, LiveCards } from './model';
import type { ISource, sourceOf } from './sources';

/**
 * Before `application/vnd.jupyter.widget-view+json`, whose rank is -10: its
 * model is gone after a reload.
 */
const RANK = -20;

/**
 * Draw cards from the kernel's messages, or from the run itself without such
 * messages.
 */
export function cardRenderer(
  cards: LiveCards,
  core: IGenOpsCore
): IRenderMime.IRendererFactory {
  return {
    safe: true,
    mimeTypes: [MIME],
    defaultRank: RANK,
    createRenderer: () => new CardWidget(cards, core)
  };
}

class CardWidget extends Widget implements IRenderMime.IRenderer {
  constructor(
    private _cards: LiveCards,
    private _core: IGenOpsCore
  ) {
    super();
    this.addClass('gol-CellCard');
  }

  async renderModel(mime: IRenderMime.IMimeModel): Promise<void> {
    const card = cardOf(mime.data);
    if (!card) {
      this._end();
      this.node.textContent = String(mime.data['text/plain'] ?? '');
      return;
    }
    if (card.comm_id === this._card?.comm_id) {
      return;
    }
    this._end();
    this._card = card;
    this._model = this._cards.model(card);
    const [{ VIEWS }, { sourceOf }] = await Promise.all([
      import('./views'),
      import('./sources')
    ]);
    if (this.isDisposed || this._card !== card) {
      return;
    }
    this._sourceOf = sourceOf;
    this.node.replaceChildren();
    try {
      this._view = new VIEWS[card.view](this._model, this.node);
    } catch (reason) {
      // A notebook's file may have any content.
      console.warn('GenOps Lab cannot draw a card of this notebook.', reason);
      this._end();
      this.node.textContent = String(mime.data['text/plain'] ?? '');
      return;
    }
    this._model.kernelChanged.connect(this._choose, this);
    this._choose();
  }

  override dispose(): void {
    this._end();
    super.dispose();
  }

  protected override onAfterAttach(_: Message): void {
    this._look();
  }

  protected override onAfterShow(_: Message): void {
    this._look();
  }

  protected override onBeforeHide(_: Message): void {
    this._look(false);
  }

  protected override onBeforeDetach(_: Message): void {
    this._look(false);
  }

  /** Use the kernel's messages, or the Lab if there are none. */
  private _choose(): void {
    if (this._model?.kernel) {
      this._source?.dispose();
      this._source = null;
    } else if (this._card && this._model && this._sourceOf) {
      this._source ??= this._sourceOf(this._card.view, this._model, this._core);
      this._look();
    }
  }

  private _look(visible = this.isVisible): void {
    if (this._source) {
      this._source.visible = visible;
    }
  }

  private _end(): void {
    this._model?.kernelChanged.disconnect(this._choose, this);
    this._source?.dispose();
    this._view?.dispose();
    this._source = this._view = this._model = this._card = null;
  }

  private _card: ICard | null = null;
  private _model: CardModel | null = null;
  private _view: { dispose(): void } | null = null;
  private _source: ISource | null = null;
  private _sourceOf: typeof sourceOf | null = null;
}
