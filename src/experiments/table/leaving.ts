import type { IDisposable } from '@lumino/disposable';

import type { ILeft, ViewStore } from './saved-views';
import { NOTHING_LEFT, withQuery } from './saved-views';

const LEAVE_MS = 400;

/** Keeps the table as it is left, some time after a change and at the end. */
export class Leaving implements IDisposable {
  constructor(
    private _store: ViewStore,
    private _now: () => Pick<ILeft, 'view' | 'folding'>
  ) {}

  /** Queries that found something, the last one first. */
  get queries(): readonly string[] {
    return this._left.queries;
  }

  /** Advice that the person has read and dismissed, by its code. */
  get dismissed(): readonly string[] {
    return this._left.dismissed;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  /** The table as it was left; nothing is kept before. */
  async restore(): Promise<ILeft> {
    try {
      this._left = await this._store.left();
    } catch (reason) {
      console.warn('GenOps Lab: the run table is not as it was left', reason);
    }
    this._restored = true;
    return this._left;
  }

  /** A query found something. */
  found(query: string): void {
    if (this.queries[0] !== query) {
      this._left = { ...this._left, queries: withQuery(this.queries, query) };
      this.soon();
    }
  }

  dismiss(advice: string): void {
    const dismissed = [...this.dismissed, advice];
    this._left = { ...this._left, dismissed };
    this.soon();
  }

  /** Something changed. */
  soon(): void {
    window.clearTimeout(this._timer);
    this._timer = window.setTimeout(() => void this._leave(), LEAVE_MS);
  }

  dispose(): void {
    if (!this._isDisposed) {
      this._isDisposed = true;
      window.clearTimeout(this._timer);
      void this._leave();
    }
  }

  private async _leave(): Promise<void> {
    if (!this._restored) {
      return;
    }
    try {
      await this._store.leave({ ...this._left, ...this._now() });
    } catch (reason) {
      console.warn('GenOps Lab: the run table will not be as now', reason);
    }
  }

  private _left = NOTHING_LEFT;
  private _restored = false;
  private _timer: number | undefined;
  private _isDisposed = false;
}
