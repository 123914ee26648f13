import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import { ApiError } from '../core';

import type { IStoredItem, TargetsService } from './service';

/** `looking` measures what lies there, `ready` waits for the person, `removing` goes on. */
export type StorageState = 'looking' | 'ready' | 'removing' | 'failed';

/** What GenOps Lab has left on a target's host, and its removal once the person has ticked what goes. */
export class TargetStorage implements IDisposable {
  constructor(
    private _service: Pick<
      TargetsService,
      'storage' | 'removeStored' | 'sweepTarget'
    >,
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

  /** The largest first; undefined until it was looked at. */
  get items(): readonly IStoredItem[] | undefined {
    return this._items;
  }

  /** Why it cannot be looked at. */
  get error(): ApiError | undefined {
    return this._error;
  }

  /** What the last removal freed, in bytes; undefined before. */
  get freed(): number | undefined {
    return this._freed;
  }

  /** What of the last removal is left there, and why. */
  get troubles(): readonly string[] {
    return this._troubles;
  }

  /** What was ticked. */
  get chosen(): readonly IStoredItem[] {
    return (this._items ?? []).filter(({ path }) => this._ticked.has(path));
  }

  /** What the removal of all that was ticked frees, in bytes. */
  get chosenBytes(): number {
    return this.chosen.reduce(
      (sum, { size_bytes }) => sum + (size_bytes ?? 0),
      0
    );
  }

  tick(item: IStoredItem, ticked: boolean): void {
    if (ticked && isRemovable(item)) {
      this._ticked.add(item.path);
    } else {
      this._ticked.delete(item.path);
    }
    this._changed.emit();
  }

  isTicked({ path }: IStoredItem): boolean {
    return this._ticked.has(path);
  }

  /** Look at what lies there. */
  async look(): Promise<void> {
    this._error = undefined;
    this._put('looking');
    try {
      const { items } = await this._service.storage(
        this.target,
        this._looking.signal
      );
      this._items = items;
      const left = new Set(items.filter(isRemovable).map(({ path }) => path));
      this._ticked.forEach(path => left.has(path) || this._ticked.delete(path));
      this._put('ready');
    } catch (reason) {
      this._error = ApiError.from(reason, this._trans);
      this._put('failed');
    }
  }

  /** Remove what was ticked, one after the other. What somebody began to use meanwhile stays and is named. */
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
      this._looking.abort();
      Signal.clearData(this);
    }
  }

  private async _removeOne(item: IStoredItem): Promise<void> {
    try {
      const { path, forcible } = item;
      let { left, trouble } = await this._service.removeStored(
        this.target,
        path,
        forcible
      );
      this._ticked.delete(path);
      while (left && !this._isDisposed) {
        ({ left, trouble } = await this._service.sweepTarget(this.target));
      }
      this._freed = (this._freed ?? 0) + (item.size_bytes ?? 0);
      if (trouble) {
        this._troubles.push(trouble);
      }
    } catch (reason) {
      this._troubles.push(ApiError.from(reason, this._trans).message);
    }
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
  private _looking = new AbortController();
  private _isDisposed = false;
  private _changed = new Signal<this, void>(this);
}

/** Whether it may go: nobody uses it, or only its contents speak against it. */
export function isRemovable({ stays, forcible }: IStoredItem): boolean {
  return stays === '' || forcible;
}
