import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import { ApiError } from './errors';
import type { GenOpsEvents, IChanged, Kind } from './events';

const FIRST_RETRY_MS = 2000;
const LAST_RETRY_MS = 15000;
const COALESCE_MS = 80;

/** `loading` is the first fetch only; later fetches keep the state until they end. */
export type ResourceState = 'loading' | 'ready' | 'empty' | 'down';

/** The state of a resource. */
export interface IResourceSnapshot<T> {
  readonly state: ResourceState;
  /** The latest value, kept while the backend is down. */
  readonly value: T | undefined;
  readonly error: ApiError | undefined;
  /** Whether a fetch is running. */
  readonly busy: boolean;
}

/**
 * Data of the server that a view shows.
 *
 * A resource fetches only while visible: when it becomes visible and is stale, when
 * one of its kinds changes (a burst is one fetch), when events may have been lost,
 * and with back-off while the backend is down.
 */
export class Resource<T> implements IDisposable {
  constructor(options: Resource.IOptions<T>) {
    this._options = options;
    if (options.events) {
      for (const kind of options.kinds ?? []) {
        options.events.changed(kind).connect(this._onChanged, this);
      }
      options.events.resync.connect(this._onResync, this);
    }
  }

  /** Emitted when the snapshot changes. */
  get changed(): ISignal<this, IResourceSnapshot<T>> {
    return this._changed;
  }

  get snapshot(): IResourceSnapshot<T> {
    return this._snapshot;
  }

  get state(): ResourceState {
    return this._snapshot.state;
  }

  get value(): T | undefined {
    return this._snapshot.value;
  }

  get error(): ApiError | undefined {
    return this._snapshot.error;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  /** Whether a view of the resource is visible. */
  get visible(): boolean {
    return this._visible;
  }
  set visible(value: boolean) {
    if (value === this._visible || this._isDisposed) {
      return;
    }
    this._visible = value;
    if (!value) {
      this._clearTimer();
    } else if (this._stale || this.state === 'down') {
      this._schedule(0);
    }
  }

  /** Fetch now, visible or not. Resolves when done; failures are in the snapshot. */
  async refresh(): Promise<void> {
    this._clearTimer();
    if (this._isDisposed) {
      return;
    }
    if (this._running) {
      this._stale = true;
      return this._running;
    }
    this._running = this._load();
    try {
      await this._running;
    } finally {
      this._running = null;
    }
    if (this._stale && this.state !== 'down') {
      this._schedule(COALESCE_MS);
    }
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    this._clearTimer();
    this._abort?.abort();
    Signal.clearData(this);
  }

  private async _load(): Promise<void> {
    const abort = (this._abort = new AbortController());
    this._stale = false;
    this._set({ busy: true });
    try {
      const value = await this._options.fetch(abort.signal);
      if (this._isDisposed) {
        return;
      }
      this._delay = FIRST_RETRY_MS;
      const isEmpty = this._options.isEmpty ?? emptyList;
      this._set({
        state: isEmpty(value) ? 'empty' : 'ready',
        value,
        error: undefined,
        busy: false
      });
    } catch (reason) {
      if (this._isDisposed) {
        return;
      }
      const error = ApiError.from(reason, this._options.trans);
      this._set({ state: 'down', error, busy: false });
      if (error.transient) {
        this._schedule(this._delay);
        this._delay = Math.min(this._delay * 2, LAST_RETRY_MS);
      }
    }
  }

  private _onChanged(_: unknown, change: IChanged): void {
    if (this._options.accepts?.(change) ?? true) {
      this._onResync();
    }
  }

  private _onResync(): void {
    this._stale = true;
    this._delay = FIRST_RETRY_MS;
    if (!this._running) {
      this._clearTimer();
      this._schedule(COALESCE_MS);
    }
  }

  private _schedule(delay: number): void {
    if (!this._visible || this._timer !== undefined || this._isDisposed) {
      return;
    }
    this._timer = window.setTimeout(() => {
      this._timer = undefined;
      void this.refresh();
    }, delay);
  }

  private _clearTimer(): void {
    window.clearTimeout(this._timer);
    this._timer = undefined;
  }

  private _set(part: Partial<IResourceSnapshot<T>>): void {
    this._snapshot = { ...this._snapshot, ...part };
    this._changed.emit(this._snapshot);
  }

  private _options: Resource.IOptions<T>;
  private _snapshot: IResourceSnapshot<T> = {
    state: 'loading',
    value: undefined,
    error: undefined,
    busy: false
  };
  private _changed = new Signal<this, IResourceSnapshot<T>>(this);
  private _visible = false;
  private _stale = true;
  private _running: Promise<void> | null = null;
  private _abort: AbortController | null = null;
  private _timer: number | undefined;
  private _delay = FIRST_RETRY_MS;
  private _isDisposed = false;
}

export namespace Resource {
  export interface IOptions<T> {
    fetch: (signal: AbortSignal) => Promise<T>;
    trans: TranslationBundle;
    events?: GenOpsEvents;
    /** The kinds whose changes make the resource stale. */
    kinds?: readonly Kind[];
    /** Filter the changes, such as by id. An empty id means several objects. */
    accepts?: (change: IChanged) => boolean;
    /** Default: only an empty array is empty. */
    isEmpty?: (value: T) => boolean;
  }
}

function emptyList(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}
