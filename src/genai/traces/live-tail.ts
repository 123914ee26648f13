import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { GenOpsEvents } from '../../core';

/** The latest traces as they land, or a table that stays as it is until a person asks for the new ones. */
export class LiveTail implements IDisposable {
  constructor(
    events: GenOpsEvents,
    /** Fetch the rows again; a hidden table does so when it is shown. */
    private _refresh: () => void
  ) {
    events.changed('trace').connect(this._onTrace, this);
    events.resync.connect(this._onTrace, this);
  }

  /** Emitted when the switch turns, or when a paused table falls behind. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get isLive(): boolean {
    return this._isLive;
  }
  set isLive(value: boolean) {
    this._isLive = value;
    if (value && this._isBehind) {
      this.catchUp();
    }
    this._changed.emit();
  }

  /** Whether traces landed or changed since the paused rows were fetched. */
  get isBehind(): boolean {
    return this._isBehind;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  /** Fetch what the paused table missed. */
  catchUp(): void {
    this._isBehind = false;
    this._refresh();
    this._changed.emit();
  }

  dispose(): void {
    this._isDisposed = true;
    Signal.clearData(this);
  }

  private _onTrace(): void {
    if (this._isLive) {
      this._refresh();
    } else if (!this._isBehind) {
      this._isBehind = true;
      this._changed.emit();
    }
  }

  private _isLive = true;
  private _isBehind = false;
  private _isDisposed = false;
  private _changed = new Signal<this, void>(this);
}
