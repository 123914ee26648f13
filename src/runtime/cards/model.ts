import { KernelMessage } from '@jupyterlab/services';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { ICard } from './card';

/** The state of a card, as an anywidget model, for the same views. */
export class CardModel {
  constructor(
    state: Readonly<Record<string, unknown>>,
    private _ask: (content: unknown) => Promise<void>
  ) {
    this._state = { ...state };
  }

  /** The kernel whose messages update the card; empty without one. */
  get kernel(): string {
    return this._kernel;
  }
  set kernel(id: string) {
    if (id !== this._kernel) {
      this._kernel = id;
      this._kernelChanged.emit();
    }
  }

  get kernelChanged(): ISignal<this, void> {
    return this._kernelChanged;
  }

  get(name: string): never {
    return this._state[name] as never;
  }

  set(news: Readonly<Record<string, unknown>>): void {
    for (const [name, value] of Object.entries(news)) {
      this._state[name] = value;
      this._listeners.get(`change:${name}`)?.forEach(listener => listener());
    }
  }

  on(event: string, listener: () => void): void {
    const all = this._listeners.get(event) ?? new Set();
    this._listeners.set(event, all.add(listener));
  }

  off(event: string, listener: () => void): void {
    this._listeners.get(event)?.delete(listener);
  }

  send(content: unknown): void {
    this._ask(content).catch((reason: unknown) =>
      this.set({ message: String((reason as Error).message) })
    );
  }

  private _state: Record<string, unknown>;
  private _kernel = '';
  private _kernelChanged = new Signal<this, void>(this);
  private _listeners = new Map<string, Set<() => void>>();
}

/**
 * The cards that kernels update.
 *
 * A page that saw a card begin and a page that was loaded later receive the
 * same messages. Each message has the changed fields, whole, and the fields
 * that a new page would lack. So no widget model is needed; a busy kernel does
 * not give a reloaded page its models.
 */
export class LiveCards {
  /** `ask` receives requests of a card's buttons. */
  constructor(private _ask: (card: ICard, content: unknown) => Promise<void>) {}

  /** Return the model of a card, which all its outputs share. */
  model(card: ICard): CardModel {
    let model = this._models.get(card.comm_id);
    if (!model) {
      model = new CardModel(card.state, content => this._ask(card, content));
      model.kernel = this._opened.get(card.comm_id) ?? '';
      this._models.set(card.comm_id, model);
    }
    return model;
  }

  /** Apply a kernel's message about cards. */
  hear(kernel: string, message: KernelMessage.IMessage): void {
    if (KernelMessage.isCommOpenMsg(message)) {
      const { comm_id, data } = message.content;
      if (String(stateOf(data)._anywidget_id).startsWith(OURS)) {
        this._opened.set(comm_id, kernel);
      }
    } else if (KernelMessage.isCommMsgMsg(message)) {
      const { comm_id, data } = message.content;
      const model = this._models.get(comm_id);
      if (model && data.method === 'update') {
        model.set(stateOf(data));
        model.kernel = kernel;
      }
    } else if (KernelMessage.isCommCloseMsg(message)) {
      const { comm_id } = message.content as { comm_id: string };
      const model = this._models.get(comm_id);
      this._models.delete(comm_id);
      this._opened.delete(comm_id);
      if (model) {
        model.kernel = '';
      }
    }
  }

  /** The kernel has ended or restarts: it no longer updates cards. */
  forget(kernel: string): void {
    for (const [comm, opener] of this._opened) {
      if (opener === kernel) {
        this._opened.delete(comm);
      }
    }
    for (const model of this._models.values()) {
      if (model.kernel === kernel) {
        model.kernel = '';
      }
    }
  }

  private _models = new Map<string, CardModel>();
  /** The kernels of cards that this page saw begin, by comm. */
  private _opened = new Map<string, string>();
}

/** `Widget` of `genops_lab/runtime/live.py` uses this prefix. */
const OURS = 'genops_lab.kernel.';

function stateOf(data: unknown): Record<string, unknown> {
  return ((data as { state?: unknown } | null)?.state ?? {}) as Record<
    string,
    unknown
  >;
}
