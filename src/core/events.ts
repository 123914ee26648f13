import type { Event } from '@jupyterlab/services';
import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { components } from '../api/generated';

/** The schema of the one event that the server extension emits. */
export const CHANGED_SCHEMA = 'https://events.genops-lab.dev/changed/v1';

/** The kinds of changes that the server's features announce. */
export type Kind = components['schemas']['Changed']['kind'];

/** A change of one object of `kind`; an empty `id` means several. The event has no content: fetch it. */
export interface IChanged {
  readonly kind: Kind;
  readonly id: string;
  readonly revision: number;
}

/**
 * Changes on the server, one signal for each kind.
 *
 * The events API has no replay. {@link resync} is emitted when events may have been
 * lost, such as after a reconnect: views then fetch again.
 */
export class GenOpsEvents implements IDisposable {
  constructor(options: GenOpsEvents.IOptions) {
    options.stream.connect(this._onEmission, this);
    for (const signal of options.interruptions ?? []) {
      signal.connect(this._onInterruption, this);
    }
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  /** True while the user has switched updates off; {@link refresh} still works. */
  paused = false;

  /** Emitted for each change of a kind. */
  changed(kind: Kind): ISignal<this, IChanged> {
    let signal = this._signals.get(kind);
    if (!signal) {
      signal = new Signal<this, IChanged>(this);
      this._signals.set(kind, signal);
    }
    return signal;
  }

  /** Emitted when changes may have been lost. */
  get resync(): ISignal<this, void> {
    return this._resync;
  }

  /** Make all visible views fetch again. */
  refresh(): void {
    if (!this._isDisposed) {
      this._resync.emit();
    }
  }

  /** Process a change, such as one from the live channel. Duplicates are dropped. */
  receive(data: unknown): void {
    const change = asChanged(data);
    if (!change || this.paused || this._isDisposed) {
      return;
    }
    const key = `${change.kind}:${change.id}`;
    if (this._seen.get(key) === change.revision) {
      return;
    }
    this._seen.set(key, change.revision);
    if (this._seen.size > MOST_SEEN) {
      this._seen.delete(this._seen.keys().next().value!);
    }
    this._signals.get(change.kind)?.emit(change);
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    Signal.clearData(this);
  }

  private _onEmission(_: unknown, emission: Event.Emission): void {
    if (emission.schema_id === CHANGED_SCHEMA) {
      this.receive(emission);
    }
  }

  private _onInterruption(): void {
    if (!this.paused) {
      this.refresh();
    }
  }

  private _signals = new Map<Kind, Signal<this, IChanged>>();
  private _resync = new Signal<this, void>(this);
  private _seen = new Map<string, number>();
  private _isDisposed = false;
}

export namespace GenOpsEvents {
  export interface IOptions {
    /** `app.serviceManager.events.stream`. */
    stream: ISignal<unknown, Event.Emission>;
    /** Signals after which changes may have been lost. */
    interruptions?: ISignal<object, unknown>[];
  }
}

const MOST_SEEN = 500;

function asChanged(data: unknown): IChanged | null {
  if (typeof data !== 'object' || data === null) {
    return null;
  }
  const { kind, id, revision } = data as Record<string, unknown>;
  if (
    typeof id !== 'string' ||
    typeof revision !== 'number' ||
    typeof kind !== 'string'
  ) {
    return null;
  }
  return { kind: kind as Kind, id, revision };
}
