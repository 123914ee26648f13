import type { IDisposable } from '@lumino/disposable';

import type { ILeft, ViewStore } from './saved-views';
import { NOTHING_LEFT, withQuery } from './saved-views';

const LEAVE_MS = 400;

/** Saves the table's state, some time after a change and at the end. */
export class Leaving implements IDisposable {
  constructor(
    private _store: ViewStore,
    private _now: () => Pick<ILeft, 'view' | 'folding' | 'opened'>
  ) {}

  /** Queries that found something, the last one first. */
  get queries(): readonly string[] {
    return this._left.queries;
  }

  /** Codes of advice that the user has dismissed. */
  get dismissed(): readonly string[] {
    return this._left.dismissed;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  /** Restore the saved state; nothing is saved before that. */
  async restore(): Promise<ILeft> {
    try {
      this._left = await this._store.left();
    } catch (reason) {
      console.warn('GenOps Lab: cannot restore the run table', reason);
    }
    this._restored = true;
    return this._left;
  }

  /** Remember a query that found something. */
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

  /** Save soon, after a change. */
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
      console.warn(
        'GenOps Lab: cannot save the state of the run table',
        reason
      );
    }
  }

  private _left = NOTHING_LEFT;
  private _restored = false;
  private _timer: number | undefined;
  private _isDisposed = false;
}
