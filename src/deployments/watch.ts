import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import { ApiError } from '../core/errors';
import type { LiveChannel } from '../core/live';

/** Number of log lines in the first request, and the most that the page keeps. */
const FIRST_LINES = 200;
const MOST_LINES = 1000;

export interface IFigures {
  readonly requests: number;
  readonly errors: number;
  readonly latency_ms: number | null;
}

export interface IWatchSnapshot {
  /** Undefined until the log has been read. */
  readonly lines: readonly string[] | undefined;
  /** Figures from the live channel, newer than those of the list; undefined until some arrive. */
  readonly figures: IFigures | undefined;
  readonly error: ApiError | undefined;
}

/** The live figures and the end of the log of one deployment, while visible. */
export class DeploymentWatch implements IDisposable {
  constructor(options: DeploymentWatch.IOptions) {
    this._options = options;
    options.live.reconnected.connect(this._onReconnected, this);
  }

  get changed(): ISignal<this, IWatchSnapshot> {
    return this._changed;
  }

  get snapshot(): IWatchSnapshot {
    return this._snapshot;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  get visible(): boolean {
    return this._subscription !== null;
  }
  set visible(value: boolean) {
    if (value === this.visible || this._isDisposed) {
      return;
    }
    if (!value) {
      this._subscription?.dispose();
      this._subscription = null;
      return;
    }
    this._subscription = this._options.live.subscribe(
      `deployment:${this._options.name}`,
      data => this._receive(data)
    );
    void this.reload();
  }

  /** Reload the end of the log. */
  async reload(): Promise<void> {
    const early: string[] = [];
    this._early = early;
    let news: Partial<IWatchSnapshot>;
    try {
      const lines = await this._options.log(FIRST_LINES);
      news = { lines: join(lines, early), error: undefined };
    } catch (reason) {
      news = { error: ApiError.from(reason, this._options.trans) };
    }
    // A later reload began meanwhile; it has the lines that came since.
    if (this._early !== early) {
      return;
    }
    // The socket may still send lines that the answer had.
    this._early = null;
    this._overlap = true;
    this._set(news);
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this.visible = false;
    this._isDisposed = true;
    Signal.clearData(this);
  }

  private _onReconnected(): void {
    if (this.visible) {
      void this.reload();
    }
  }

  private _receive(data: unknown): void {
    const news = data as Partial<IFigures & { lines: string[] }>;
    const lines = Array.isArray(news.lines) ? news.lines : [];
    if (typeof news.requests === 'number') {
      this._set({
        figures: {
          requests: news.requests,
          errors: news.errors ?? 0,
          latency_ms: news.latency_ms ?? null
        }
      });
    }
    if (lines.length === 0) {
      return;
    }
    if (this._early) {
      this._early.push(...lines);
      return;
    }
    const known = this._snapshot.lines ?? [];
    const all = this._overlap ? join(known, lines) : [...known, ...lines];
    this._overlap = false;
    this._set({ lines: all.slice(-MOST_LINES) });
  }

  private _set(part: Partial<IWatchSnapshot>): void {
    if (!this._isDisposed) {
      this._snapshot = { ...this._snapshot, ...part };
      this._changed.emit(this._snapshot);
    }
  }

  private _options: DeploymentWatch.IOptions;
  private _snapshot: IWatchSnapshot = {
    lines: undefined,
    figures: undefined,
    error: undefined
  };
  private _changed = new Signal<this, IWatchSnapshot>(this);
  private _subscription: IDisposable | null = null;
  /** Lines that arrived during a reload. */
  private _early: string[] | null = null;
  private _overlap = false;
  private _isDisposed = false;
}

export namespace DeploymentWatch {
  export interface IOptions {
    name: string;
    live: LiveChannel;
    /** Return the last `lines` lines. */
    log: (lines: number) => Promise<string[]>;
    trans: TranslationBundle;
  }
}

/** Join two parts of a log; drop the overlap of their ends. */
function join(first: readonly string[], second: readonly string[]): string[] {
  for (let size = Math.min(first.length, second.length); size > 0; size--) {
    const start = first.length - size;
    if (second.slice(0, size).every((line, at) => line === first[start + at])) {
      return [...first, ...second.slice(size)];
    }
  }
  return [...first, ...second];
}
