import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { GenOpsEvents, LiveChannel } from '../../core';
import { ApiError, Resource } from '../../core';
import { Throttle } from '../../core/throttle';
import type { IExperiment } from '../service';

import { ColorScales } from './color-scales';
import { NAME } from './column-words';
import type { IFrame } from './copies';
import { candidates, firstColumns } from './first-columns';
import type { ILeft, ViewStore } from './saved-views';
import { RunSelection } from './selection';
import type {
  ICompletion,
  IQuestion,
  IRunColumns,
  RunTableService
} from './service';
import { MOST_ROWS } from './service';
import type { IShownColumn, IView } from './view-state';
import { FIRST_VIEW, inOrder } from './view-state';
import type { IRow } from './windows';
import { RunWindows } from './windows';

const REFRESH_MS = 500;
const LEAVE_MS = 400;
const SAMPLE = 200;
const MOST_QUERIES = 12;
/** What every row needs, whatever is shown. */
const ALWAYS = [NAME, 'status', 'start_time'];

/** The run table: what is asked, the rows that are seen, what is selected. */
export class RunTableModel implements IDisposable {
  constructor(options: RunTableModel.IOptions) {
    const { service, events, trans } = options;
    this._options = options;
    this.windows = new RunWindows({
      trans,
      fetch: (question, offset, limit, signal) =>
        service.window(question, offset, limit, signal)
    });
    this.columns = new Resource<IRunColumns>({
      trans,
      fetch: signal => service.columns(signal)
    });
    this.experiments = new Resource<IExperiment[]>({
      trans,
      events,
      kinds: ['experiment'],
      fetch: signal => options.experiments(signal)
    });
    this.selection = new RunSelection((first, end) => this._ids(first, end));
    this.scales = new ColorScales((question, column) =>
      service.window(question, 0, SAMPLE).then(answer =>
        answer.columns.find(each => each.column === column)
      )
    );
    this.columns.changed.connect(this._onColumns, this);
    this.windows.changed.connect(this._onWindows, this);
    events.changed('run').connect(this._onChanged, this);
    events.changed('experiment').connect(this._onChanged, this);
    events.resync.connect(this._onChanged, this);
    void this._restore();
  }

  readonly windows: RunWindows;
  readonly columns: Resource<IRunColumns>;
  readonly experiments: Resource<IExperiment[]>;
  readonly selection: RunSelection;
  readonly scales: ColorScales;

  /** Emitted when the view, what is opened or what was dismissed changes. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get view(): IView {
    return this._view;
  }

  /** The columns in their order; empty until they are chosen. */
  get shown(): readonly IShownColumn[] {
    return this._shown;
  }

  /** Queries that found something, the last one first. */
  get queries(): readonly string[] {
    return this._queries;
  }

  /** The run whose detail is shown. */
  get opened(): string | null {
    return this._opened;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  get visible(): boolean {
    return this._visible;
  }
  set visible(value: boolean) {
    if (value === this._visible) {
      return;
    }
    this._visible = value;
    this._listening?.dispose();
    // Keeps the server looking for changes that are made elsewhere.
    this._listening = value
      ? this._options.live.subscribe('changes', data =>
          this._options.events.receive(data)
        )
      : null;
    if (value && this._missed) {
      this._missed = false;
      this._refresh();
    }
    this.windows.visible = value;
    this.experiments.visible = value;
    this.columns.visible = value && !this._chosen;
  }

  /** Change the view. Another set of runs begins with nothing selected. */
  setView(part: Partial<IView>): void {
    const old = this._view;
    this._view = { ...old, ...part };
    const { query, experiments, lifecycle } = this._view;
    if (
      query !== old.query ||
      lifecycle !== old.lifecycle ||
      experiments.join('\n') !== old.experiments.join('\n')
    ) {
      this.selection.clear();
    }
    if (part.columns !== undefined) {
      this._shown = part.columns ? inOrder(part.columns) : [];
      if (!part.columns) {
        this._chosen = false;
        void this._choose();
      }
    }
    this._ask();
    this._leaveSoon();
    this._changed.emit();
  }

  /** Change the columns, from those that are shown. */
  setColumns(change: (columns: readonly IShownColumn[]) => IShownColumn[]): void {
    if (this._shown.length > 0) {
      this.setView({ columns: change(this._shown) });
    }
  }

  open(runId: string | null): void {
    this._opened = runId;
    this._changed.emit();
  }

  /** Fetch the columns and their counts again. */
  async lookAtColumns(): Promise<void> {
    await this.columns.refresh();
  }

  completions(
    text: string,
    cursor: number,
    signal: AbortSignal
  ): Promise<ICompletion[]> {
    return this._options.service.completions(text, cursor, signal);
  }

  isDismissed(advice: string): boolean {
    return this._dismissed.includes(advice);
  }

  dismiss(advice: string): void {
    this._dismissed = [...this._dismissed, advice];
    this._leaveSoon();
    this._changed.emit();
  }

  /** The ids of all that are selected, in the order of the table. */
  async selected(): Promise<string[]> {
    return (await this.frame([], true)).ids;
  }

  /** The columns' values of the selected runs, fetched as far as need be. @throws ApiError */
  async frame(
    columns: readonly string[],
    onlyIds = false
  ): Promise<{ ids: string[]; frame: IFrame }> {
    const question = this._question([...columns]);
    const ids: string[] = [];
    const rows: IFrame['rows'][number][] = [];
    const kinds = new Map<string, 'number' | 'text'>();
    const wanted = this.selection.count(this.windows.snapshot.rows.length);
    for (let offset = 0, matched = Infinity; offset < matched; ) {
      const answer = await this._options.service.window(
        question,
        offset,
        MOST_ROWS
      );
      matched = answer.matched;
      answer.columns.forEach(each => kinds.set(each.column, each.kind));
      answer.run_ids.forEach((id, at) => {
        if (this.selection.has(id)) {
          ids.push(id);
          if (!onlyIds) {
            rows.push(answer.columns.map(({ values }) => values[at]));
          }
        }
      });
      offset += MOST_ROWS;
      if (!this.selection.isAll && ids.length >= wanted) {
        break;
      }
    }
    const named = columns.map(name => ({ name, kind: kinds.get(name) ?? 'text' }) as const);
    return { ids, frame: { columns: named, rows } };
  }

  /** The value of one column of one run, such as its note. @throws ApiError */
  async value(runId: string, column: string): Promise<string> {
    const answer = await this._options.service.window(
      {
        experiments: [],
        query: `run_id = '${runId.replace(/'/g, "''")}'`,
        sort: [],
        lifecycle: 'all',
        columns: [column]
      },
      0,
      1
    );
    return String(answer.columns[0]?.values[0] ?? '');
  }

  /** Fetch what is seen again. */
  refresh(): void {
    this._refreshing.ask();
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    this.visible = false;
    window.clearTimeout(this._leaving);
    void this._leave();
    this.windows.dispose();
    this.columns.dispose();
    this.experiments.dispose();
    this._refreshing.dispose();
    Signal.clearData(this);
  }

  private _question(columns?: string[]): IQuestion {
    const { experiments, query, sort, lifecycle } = this._view;
    const names = this._shown.map(({ name }) => name);
    return {
      experiments: [...experiments],
      query,
      sort: sort.map(each => ({ ...each })),
      lifecycle,
      columns: columns ?? [...new Set([...ALWAYS, ...names])]
    };
  }

  private _ask(): void {
    if (this._restored && this._shown.length > 0) {
      const question = this._question();
      this.windows.ask(question);
      this.scales.ask(
        question,
        this._shown.filter(each => each.colored).map(each => each.name)
      );
    }
  }

  private async _restore(): Promise<void> {
    let left: ILeft = { view: FIRST_VIEW, queries: [], dismissed: [] };
    try {
      left = await this._options.store.left();
    } catch (reason) {
      console.warn('GenOps Lab: the run table is not as it was left', reason);
    }
    if (this._isDisposed) {
      return;
    }
    this._restored = true;
    this._view = left.view;
    this._queries = [...left.queries];
    this._dismissed = [...left.dismissed];
    this._shown = left.view.columns ? inOrder(left.view.columns) : [];
    this._chosen = this._shown.length > 0;
    this.columns.visible = this._visible && !this._chosen;
    this._ask();
    this._changed.emit();
  }

  private _onColumns(): void {
    void this._choose();
  }

  /** The first columns, once it is known which there are. */
  private async _choose(): Promise<void> {
    const known = this.columns.value;
    if (!known || this._chosen || !this._restored || this._choosing) {
      if (!known && !this._chosen) {
        this.columns.visible = this._visible;
      }
      return;
    }
    this._choosing = true;
    try {
      const columns = ['user', 'experiment', ...candidates(known.columns)];
      const sample = await this._options.service.window(
        // Not the query's runs: it may be wrong, and the columns stay when it changes.
        { ...this._question(columns), query: '', sort: [] },
        0,
        SAMPLE
      );
      if (!this._isDisposed && !this._view.columns) {
        this._shown = firstColumns(known.columns, sample);
        // As more runs are read, or the first one is made, there is more to choose from.
        this._chosen = sample.run_ids.length > 0 && known.state.complete;
        this._ask();
        this._changed.emit();
      }
    } catch (reason) {
      const error = ApiError.from(reason, this._options.trans);
      this._shown = firstColumns([], {
        total: 0,
        matched: 0,
        offset: 0,
        run_ids: [],
        columns: [],
        state: known.state
      });
      // The same question fails again, and the table says why.
      console.debug('GenOps Lab: no columns were chosen', error.message);
      this._ask();
      this._changed.emit();
    } finally {
      this._choosing = false;
      this.columns.visible = this._visible && !this._chosen;
    }
  }

  private _onChanged(): void {
    if (this._visible) {
      this._refreshing.ask();
    } else {
      this._missed = true;
    }
  }

  private _refresh(): void {
    this.windows.refresh();
    this.scales.refresh();
    if (!this._chosen) {
      void this.columns.refresh();
    }
  }

  private _onWindows(): void {
    const { rows, switching, error } = this.windows.snapshot;
    const { query } = this._view;
    if (
      query &&
      !switching &&
      !error &&
      rows.length > 0 &&
      this._queries[0] !== query
    ) {
      this._queries = [
        query,
        ...this._queries.filter(each => each !== query)
      ].slice(0, MOST_QUERIES);
      this._leaveSoon();
    }
  }

  /** The ids of the rows from `first` to before `end`, in the order that is shown. */
  private async _ids(first: number, end: number): Promise<string[]> {
    const rows: readonly IRow[] = this.windows.snapshot.rows.slice(first, end);
    if (rows.every(row => row.id !== null)) {
      return rows.map(row => row.id!);
    }
    const ids: string[] = [];
    for (let offset = first; offset < end; offset += MOST_ROWS) {
      const answer = await this._options.service.window(
        this._question([]),
        offset,
        Math.min(MOST_ROWS, end - offset)
      );
      ids.push(...answer.run_ids);
    }
    return ids;
  }

  private _leaveSoon(): void {
    window.clearTimeout(this._leaving);
    this._leaving = window.setTimeout(() => void this._leave(), LEAVE_MS);
  }

  private async _leave(): Promise<void> {
    if (!this._restored) {
      return;
    }
    try {
      await this._options.store.leave({
        view: this._view,
        queries: this._queries,
        dismissed: this._dismissed
      });
    } catch (reason) {
      console.warn('GenOps Lab: the run table will not be as now', reason);
    }
  }

  private _options: RunTableModel.IOptions;
  private _view: IView = FIRST_VIEW;
  private _shown: readonly IShownColumn[] = [];
  private _queries: string[] = [];
  private _dismissed: string[] = [];
  private _opened: string | null = null;
  private _restored = false;
  private _chosen = false;
  private _choosing = false;
  private _visible = false;
  private _missed = false;
  private _listening: IDisposable | null = null;
  private _leaving: number | undefined;
  private _refreshing = new Throttle(() => this._refresh(), REFRESH_MS);
  private _changed = new Signal<this, void>(this);
  private _isDisposed = false;
}

export namespace RunTableModel {
  export interface IOptions {
    service: RunTableService;
    experiments: (signal: AbortSignal) => Promise<IExperiment[]>;
    store: ViewStore;
    events: GenOpsEvents;
    live: LiveChannel;
    trans: TranslationBundle;
  }
}
