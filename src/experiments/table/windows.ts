import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import { ApiError } from '../../core';

import type { IRow } from './rows';
import type { IQuestion, IRunsState, IRunTable } from './service';

/** Runs that are kept and dropped together. */
export const WINDOW = 100;
/** Windows that are kept beside the visible ones. */
const MOST_KEPT = 60;
const FIRST_RETRY_MS = 1000;
const LAST_RETRY_MS = 15000;

export interface IWindowsSnapshot {
  /** The matching runs and the heads of their groups, fetched or not. */
  readonly rows: readonly IRow[];
  /** Number of matching runs, those of closed groups included. */
  readonly matched: number;
  /** Number of outermost groups; null without groups. */
  readonly groups: number | null;
  /** Runs in the experiments; null before the first answer. */
  readonly total: number | null;
  readonly state: IRunsState | null;
  /** Warnings about the query, such as names that no run has. */
  readonly doubts: IRunTable['doubts'];
  /** Whether the rows still belong to the previous question. */
  readonly switching: boolean;
  /** The error of the last request; the rows stay as they were. */
  readonly error: ApiError | null;
}

/**
 * The rows of a table that is too long to be fetched at once: windows are
 * fetched when they are visible.
 *
 * Answers to an outdated question are dropped. After a change the visible rows
 * are fetched again in one request, and stay until its answer.
 */
export class RunWindows implements IDisposable {
  constructor(options: RunWindows.IOptions) {
    this._options = options;
  }

  get changed(): ISignal<this, IWindowsSnapshot> {
    return this._changed;
  }

  get snapshot(): IWindowsSnapshot {
    return this._snapshot;
  }

  get question(): IQuestion | null {
    return this._question;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  /** Whether the table is visible: otherwise nothing is fetched. */
  get visible(): boolean {
    return this._visible;
  }
  set visible(value: boolean) {
    this._visible = value;
    if (value) {
      this._pull();
    } else {
      this._stopRetry();
    }
  }

  /**
   * Ask another question, whose first windows may be known already. If only
   * columns change, the rows stay until the answer.
   */
  ask(question: IQuestion, first: IRunTable | null = null): void {
    const old = this._question;
    if (old && JSON.stringify(old) === JSON.stringify(question)) {
      return;
    }
    const sameRuns =
      old !== null &&
      !this._snapshot.switching &&
      identity(old) === identity(question);
    this._question = question;
    this._generation += 1;
    this._drop();
    this._stale = new Set(this._windows.keys());
    if (!sameRuns) {
      this._range = [0, this._range[1] - this._range[0]];
      // The previous error stays until the answer: a message that disappears
      // and returns makes the view jump.
      this._put({ switching: true });
    }
    if (first) {
      const last = Math.max(0, Math.ceil(first.run_ids.length / WINDOW) - 1);
      const flight = { first: 0, last, abort: new AbortController() };
      this._take({ ...flight, again: false }, first);
    }
    this._pull();
  }

  /** Request these visible rows, the last one included. */
  want(first: number, last: number): void {
    if (this._snapshot.switching) {
      return; // A table that was scrolled shows its first rows when the answer comes.
    }
    this._range = [Math.max(0, first), Math.max(first, last)];
    this._pull();
  }

  /** After a change, fetch the visible rows again and forget the rest. */
  refresh(): void {
    this._stale = new Set(this._windows.keys());
    for (const flight of this._flights) {
      flight.again = true;
    }
    this._stopRetry();
    this._pull();
  }

  /** Set the present state; rows of another version are fetched again. */
  setState(state: IRunsState): void {
    const { state: old } = this._snapshot;
    if (!old) {
      return;
    }
    this._put({ state });
    if (old.version !== state.version) {
      this.refresh();
    }
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    this._stopRetry();
    this._drop();
    Signal.clearData(this);
  }

  private _pull(): void {
    const question = this._question;
    if (!question || !this._visible || this._isDisposed) {
      return;
    }
    const [first, last] = this._wanted();
    for (const flight of [...this._flights]) {
      if (flight.last < first - 1 || flight.first > last + 1) {
        this._flights.delete(flight);
        flight.abort.abort();
      }
    }
    const missing: number[] = [];
    for (let window = first; window <= last; window++) {
      const fresh = this._windows.has(window) && !this._stale.has(window);
      const coming = [...this._flights].some(
        flight => flight.first <= window && window <= flight.last
      );
      if (!fresh && !coming) {
        missing.push(window);
      }
    }
    if (missing.length > 0 && this._retry === undefined) {
      void this._fetch(question, missing[0], missing[missing.length - 1]);
    }
  }

  /** The first and the last visible window. */
  private _wanted(): [number, number] {
    const [first, last] = this._range;
    const most =
      this._snapshot.switching || this._snapshot.total === null
        ? Infinity
        : Math.max(0, this._snapshot.rows.length - 1);
    return [
      Math.floor(Math.min(first, most) / WINDOW),
      Math.floor(Math.min(last, most, first + 9 * WINDOW) / WINDOW)
    ];
  }

  private async _fetch(
    question: IQuestion,
    first: number,
    last: number
  ): Promise<void> {
    const generation = this._generation;
    const flight: IFlight = {
      first,
      last,
      abort: new AbortController(),
      again: false
    };
    this._flights.add(flight);
    const isCurrent = () =>
      !this._isDisposed &&
      generation === this._generation &&
      this._flights.has(flight);
    try {
      const answer = await this._options.fetch(
        question,
        first * WINDOW,
        (last - first + 1) * WINDOW,
        flight.abort.signal
      );
      if (isCurrent()) {
        this._flights.delete(flight);
        this._delay = FIRST_RETRY_MS;
        this._take(flight, answer);
      }
    } catch (reason) {
      if (isCurrent()) {
        this._flights.delete(flight);
        const error = ApiError.from(reason, this._options.trans);
        this._put({ error });
        if (error.transient) {
          this._tryLater();
        }
        return;
      }
    }
    this._pull();
  }

  private _take(flight: IFlight, answer: IRunTable): void {
    if (this._snapshot.switching) {
      this._windows.clear();
      this._stale.clear();
    }
    const columns = new Map(answer.columns.map(each => [each.column, each]));
    const groups = new Map(answer.groups.map(each => [each.at, each]));
    for (let window = flight.first; window <= flight.last; window++) {
      const begin = (window - flight.first) * WINDOW;
      const ids = answer.run_ids.slice(begin, begin + WINDOW);
      this._windows.delete(window);
      if (ids.length > 0 || window === 0) {
        this._windows.set(
          window,
          ids.map((id, place) => ({
            index: window * WINDOW + place,
            id: id || null,
            group: groups.get(begin + place) ?? null,
            columns,
            at: begin + place
          }))
        );
      }
      if (flight.again) {
        this._stale.add(window);
      } else {
        this._stale.delete(window);
      }
    }
    this._forget();
    this._put({
      rows: this._rows(answer.places),
      matched: answer.matched,
      groups: this._question?.groups
        ? (answer.groups.find(({ path }) => path.length === 1)?.siblings ??
          this._snapshot.groups)
        : null,
      total: answer.total,
      state: answer.state,
      doubts: answer.doubts,
      switching: false,
      error: null
    });
  }

  /**
   * Drop windows that are stale and not visible, and the oldest of too many.
   */
  private _forget(): void {
    const [first, last] = this._wanted();
    for (const window of [...this._windows.keys()]) {
      const seen = first <= window && window <= last;
      if (
        !seen &&
        (this._stale.has(window) || this._windows.size > MOST_KEPT)
      ) {
        this._windows.delete(window);
        this._stale.delete(window);
      }
    }
  }

  private _rows(places: number): IRow[] {
    const blanks = this._blanks;
    for (let index = blanks.length; index < places; index++) {
      blanks.push({ index, id: null, group: null, columns: null, at: 0 });
    }
    const rows = blanks.slice(0, places);
    for (const [window, loaded] of this._windows) {
      loaded.forEach((row, place) => {
        const index = window * WINDOW + place;
        if (index < places) {
          rows[index] = row;
        }
      });
    }
    return rows;
  }

  private _tryLater(): void {
    if (this._retry === undefined && this._visible) {
      this._retry = window.setTimeout(() => {
        this._retry = undefined;
        this._pull();
      }, this._delay);
      this._delay = Math.min(this._delay * 2, LAST_RETRY_MS);
    }
  }

  private _stopRetry(): void {
    window.clearTimeout(this._retry);
    this._retry = undefined;
  }

  private _drop(): void {
    for (const flight of this._flights) {
      flight.abort.abort();
    }
    this._flights.clear();
    this._stopRetry();
  }

  private _put(part: Partial<IWindowsSnapshot>): void {
    this._snapshot = { ...this._snapshot, ...part };
    this._changed.emit(this._snapshot);
  }

  private _options: RunWindows.IOptions;
  private _question: IQuestion | null = null;
  private _generation = 0;
  private _visible = false;
  private _range: [number, number] = [0, WINDOW - 1];
  private _windows = new Map<number, IRow[]>();
  private _stale = new Set<number>();
  private _flights = new Set<IFlight>();
  private _blanks: IRow[] = [];
  private _retry: number | undefined;
  private _delay = FIRST_RETRY_MS;
  private _snapshot: IWindowsSnapshot = {
    rows: [],
    matched: 0,
    groups: null,
    total: null,
    state: null,
    doubts: [],
    switching: true,
    error: null
  };
  private _changed = new Signal<this, IWindowsSnapshot>(this);
  private _isDisposed = false;
}

export namespace RunWindows {
  export interface IOptions {
    fetch: (
      question: IQuestion,
      offset: number,
      limit: number,
      signal: AbortSignal
    ) => Promise<IRunTable>;
    trans: TranslationBundle;
  }
}

interface IFlight {
  first: number;
  last: number;
  abort: AbortController;
  /** Whether something changed since the request was sent. */
  again: boolean;
}

/**
 * Return what decides the runs and their order; opening a group moves the other
 * rows.
 */
function identity(question: IQuestion): string {
  const { experiments, query, sort, lifecycle, groups } = question;
  return JSON.stringify([experiments, query, sort, lifecycle, groups?.by]);
}
