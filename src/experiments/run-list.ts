import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { GenOpsEvents, IChanged } from '../core';
import { ApiError, Resource } from '../core';
import { Throttle } from '../core/throttle';

import type { IRun, IRunDetail, IRunPage, IRunQuery } from './service';

const REFRESH_MS = 500;
/**
 * Pause after a change that names no run: MLflow's file changes with each
 * metric that this Lab writes, and that run is fetched already. In ms.
 */
const UNNAMED_MS = 2000;
/** If more runs than this changed at once, fetching the page is cheaper. */
const MOST_SINGLE = 4;

/** The state of the list. */
export interface IRunListSnapshot {
  /** Newest first. */
  readonly runs: readonly IRun[];
  /** Whether the runs still belong to the previous query. */
  readonly isSwitching: boolean;
  readonly hasMore: boolean;
  readonly loadingMore: boolean;
  /** The error of the last "Show more". */
  readonly moreError: ApiError | undefined;
}

/** The first page with its query. */
export interface IHead {
  readonly query: IRunQuery;
  readonly page: IRunPage;
}

/**
 * Runs, newest first, page by page.
 *
 * A changed run is fetched alone. The first page is fetched again when there
 * may be new runs, and the runs below it stay.
 */
export class RunList implements IDisposable {
  constructor(options: RunList.IOptions) {
    this._options = options;
    this._heads = new Throttle(() => void this.head.refresh(), REFRESH_MS);
    this._singles = new Throttle(() => void this._fetchChanged(), REFRESH_MS);
    this._unnamed = new Throttle(() => void this.head.refresh(), UNNAMED_MS);
    this.head = new Resource<IHead>({
      trans: options.trans,
      events: options.events,
      kinds: ['run', 'experiment'],
      isEmpty: ({ page }) => page.items.length === 0,
      accepts: change => this._accepts(change),
      fetch: signal => this._fetchHead(signal)
    });
    this.head.changed.connect((_, { value }) => {
      if (value && value !== this._taken) {
        this._taken = value;
        this._takeHead(value);
      }
    }, this);
  }

  /** The first page, with the state of the backend. */
  readonly head: Resource<IHead>;

  get changed(): ISignal<this, IRunListSnapshot> {
    return this._changed;
  }

  get snapshot(): IRunListSnapshot {
    return this._snapshot;
  }

  get visible(): boolean {
    return this.head.visible;
  }
  set visible(value: boolean) {
    this.head.visible = value;
  }

  get query(): IRunQuery {
    return this._query;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  /** Show the runs of another query. */
  async setQuery(query: IRunQuery): Promise<void> {
    if (
      query.experiment === this._query.experiment &&
      query.filter === this._query.filter
    ) {
      return;
    }
    this._query = query;
    this._put({ isSwitching: true });
    await this.head.refresh();
    if (this._asked !== query && this._query === query) {
      // The running fetch was for the previous query.
      await this.head.refresh();
    }
  }

  /** Fetch the page after the shown ones. */
  async showMore(): Promise<void> {
    const { _query: query, _next: next } = this;
    if (!next || this._snapshot.loadingMore) {
      return;
    }
    this._put({ loadingMore: true, moreError: undefined });
    try {
      const page = await this._options.fetch(query, next);
      if (query !== this._query || this._isDisposed) {
        return;
      }
      this._next = page.next;
      const known = new Set(this._snapshot.runs.map(run => run.run_id));
      this._put({
        // New runs have shifted the pages, so some runs may come twice.
        runs: [
          ...this._snapshot.runs,
          ...page.items.filter(run => !known.has(run.run_id))
        ],
        loadingMore: false
      });
    } catch (reason) {
      this._put({
        loadingMore: false,
        moreError: ApiError.from(reason, this._options.trans)
      });
    }
  }

  /** Take in a run that another part has fetched. */
  replace(run: IRun): void {
    const { runs } = this._snapshot;
    if (runs.some(({ run_id }) => run_id === run.run_id)) {
      this._put({
        runs: runs.map(old => (old.run_id === run.run_id ? run : old))
      });
    }
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    this._heads.dispose();
    this._singles.dispose();
    this._unnamed.dispose();
    this.head.dispose();
    Signal.clearData(this);
  }

  private _accepts(change: IChanged): boolean {
    if (!this.head.visible) {
      return true;
    }
    const isKnown =
      change.kind === 'run' &&
      this._snapshot.runs.some(run => run.run_id === change.id);
    if (isKnown && !this._query.filter) {
      this._changedRuns.add(change.id);
      this._singles.ask();
    } else {
      (change.id === '' ? this._unnamed : this._heads).ask();
    }
    return false;
  }

  private async _fetchChanged(): Promise<void> {
    const ids = [...this._changedRuns];
    this._changedRuns.clear();
    if (ids.length > MOST_SINGLE) {
      this._heads.ask();
      return;
    }
    try {
      for (const { run } of await Promise.all(
        ids.map(id => this._options.fetchRun(id))
      )) {
        this.replace(run);
      }
    } catch {
      // The run was deleted, or the backend is down: the page shows which.
      this._heads.ask();
    }
  }

  private async _fetchHead(signal: AbortSignal): Promise<IHead> {
    const query = (this._asked = this._query);
    return { query, page: await this._options.fetch(query, '', signal) };
  }

  private _takeHead({ query, page }: IHead): void {
    if (query !== this._query) {
      return;
    }
    const { items: runs } = page;
    const fresh = {
      runs,
      isSwitching: false,
      loadingMore: false,
      moreError: undefined
    };
    const head = new Set(runs.map(run => run.run_id));
    const oldest = runs[runs.length - 1]?.started_at ?? 0;
    const below =
      query === this._shown && page.next
        ? this._snapshot.runs.filter(
            run => !head.has(run.run_id) && (run.started_at ?? 0) <= oldest
          )
        : [];
    this._shown = query;
    if (below.length === 0) {
      this._next = page.next;
      this._put(fresh);
    } else {
      this._put({ runs: [...runs, ...below] });
    }
  }

  private _put(part: Partial<IRunListSnapshot>): void {
    if (this._isDisposed) {
      return;
    }
    this._snapshot = { ...this._snapshot, ...part, hasMore: this._next !== '' };
    this._changed.emit(this._snapshot);
  }

  private _options: RunList.IOptions;
  private _query: IRunQuery = { experiment: '', filter: '' };
  private _asked: IRunQuery | undefined;
  private _shown: IRunQuery | undefined;
  private _taken: IHead | undefined;
  private _next = '';
  private _heads: Throttle;
  private _singles: Throttle;
  private _unnamed: Throttle;
  private _changedRuns = new Set<string>();
  private _snapshot: IRunListSnapshot = {
    runs: [],
    isSwitching: false,
    hasMore: false,
    loadingMore: false,
    moreError: undefined
  };
  private _changed = new Signal<this, IRunListSnapshot>(this);
  private _isDisposed = false;
}

export namespace RunList {
  export interface IOptions {
    events: GenOpsEvents;
    trans: TranslationBundle;
    fetch: (
      query: IRunQuery,
      after: string,
      signal?: AbortSignal
    ) => Promise<IRunPage>;
    fetchRun: (run_id: string) => Promise<IRunDetail>;
  }
}
