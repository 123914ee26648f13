import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import { ApiError } from '../core';

import type { TargetsModel } from './model';
import type { IStoredItem } from './service';

/**
 * `connecting`, `looking` (measuring the files) and `removing` run; `ready`
 * waits for the user.
 */
export type StorageState =
  'connecting' | 'looking' | 'ready' | 'removing' | 'failed';

/** The error code of a target that is not connected. */
const AWAY = 'not_connected';

/**
 * The files of GenOps Lab on a target's host, and the removal of those that the
 * user ticks.
 */
export class TargetStorage implements IDisposable {
  constructor(
    private _model: Pick<TargetsModel, 'service' | 'reach'>,
    private _trans: TranslationBundle,
    readonly target: string
  ) {
    void this.look();
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get state(): StorageState {
    return this._state;
  }

  /** The largest first; undefined until they are read. */
  get items(): readonly IStoredItem[] | undefined {
    return this._items;
  }

  /** Why they cannot be read. */
  get error(): ApiError | undefined {
    return this._error;
  }

  /** Whether they cannot be read because the target is not connected. */
  get isAway(): boolean {
    return this._state === 'failed' && this._error?.code === AWAY;
  }

  /** The bytes that the last removal freed; undefined before. */
  get freed(): number | undefined {
    return this._freed;
  }

  /** What the last removal left on the host, and why. */
  get troubles(): readonly string[] {
    return this._troubles;
  }

  /** The ticked items. */
  get chosen(): readonly IStoredItem[] {
    return (this._items ?? []).filter(item => this._ticked.has(keyOf(item)));
  }

  /** The bytes that the removal of all ticked items frees. */
  get chosenBytes(): number {
    return this.chosen.reduce(
      (sum, { size_bytes }) => sum + (size_bytes ?? 0),
      0
    );
  }

  tick(item: IStoredItem, ticked: boolean): void {
    if (ticked && isRemovable(item)) {
      this._ticked.add(keyOf(item));
    } else {
      this._ticked.delete(keyOf(item));
    }
    this._changed.emit();
  }

  isTicked(item: IStoredItem): boolean {
    return this._ticked.has(keyOf(item));
  }

  /** Connect to the target, which may ask something, then read its items. */
  async connect(): Promise<void> {
    if (!this.isAway) {
      return;
    }
    this._error = undefined;
    this._put('connecting');
    try {
      await this._model.reach(this.target, this._leaving.signal);
    } catch (reason) {
      this._fail(ApiError.from(reason, this._trans));
      return;
    }
    await this.look();
  }

  /** Read the items on the host. */
  async look(): Promise<void> {
    this._error = undefined;
    this._put('looking');
    try {
      const { items } = await this._model.service.storage(
        this.target,
        this._leaving.signal
      );
      this._items = items;
      const left = new Set(items.filter(isRemovable).map(keyOf));
      this._ticked.forEach(key => left.has(key) || this._ticked.delete(key));
      this._put('ready');
    } catch (reason) {
      const error = ApiError.from(reason, this._trans);
      const { status, code, message } = error;
      // The server names a command; this view has a button for it.
      this._fail(
        code === AWAY ? new ApiError({ status, code, message }) : error
      );
    }
  }

  /**
   * Remove the ticked items one by one. An item that was taken into use
   * meanwhile stays and is named.
   */
  async remove(): Promise<void> {
    if (this._state !== 'ready' || this.chosen.length === 0) {
      return;
    }
    this._freed = 0;
    this._troubles = [];
    this._put('removing');
    for (const item of this.chosen) {
      if (this._isDisposed) {
        return;
      }
      await this._removeOne(item);
      this._changed.emit();
    }
    await this.look();
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (!this._isDisposed) {
      this._isDisposed = true;
      this._leaving.abort();
      Signal.clearData(this);
    }
  }

  private async _removeOne(item: IStoredItem): Promise<void> {
    try {
      let { left, trouble } = await this._model.service.removeStored(
        this.target,
        item,
        item.forcible
      );
      this._ticked.delete(keyOf(item));
      while (left && !this._isDisposed) {
        ({ left, trouble } = await this._model.service.sweepTarget(
          this.target,
          item.host_id
        ));
      }
      this._freed = (this._freed ?? 0) + (item.size_bytes ?? 0);
      if (trouble) {
        this._troubles.push(trouble);
      }
    } catch (reason) {
      this._troubles.push(ApiError.from(reason, this._trans).message);
    }
  }

  private _fail(error: ApiError): void {
    this._error = error;
    this._put('failed');
  }

  private _put(state: StorageState): void {
    this._state = state;
    this._changed.emit();
  }

  private _state: StorageState = 'looking';
  private _items: readonly IStoredItem[] | undefined;
  private _error: ApiError | undefined;
  private _freed: number | undefined;
  private _troubles: string[] = [];
  private _ticked = new Set<string>();
  private _leaving = new AbortController();
  private _isDisposed = false;
  private _changed = new Signal<this, void>(this);
}

/** The key of an item: hosts of one target may have files of their own. */
export function keyOf({ host_id, path }: IStoredItem): string {
  return host_id ? `${host_id}: ${path}` : path;
}

/**
 * Whether an item may be removed: it is not in use, or only its contents speak
 * against it.
 */
export function isRemovable({ stays, forcible }: IStoredItem): boolean {
  return stays === '' || forcible;
}
