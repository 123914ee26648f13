import type { TranslationBundle } from '@jupyterlab/translation';
import type { PartialJSONObject } from '@lumino/coreutils';
import type { IDisposable } from '@lumino/disposable';
import { Poll } from '@lumino/polling';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { GenOpsEvents, LiveChannel } from '../../core';
import { Resource } from '../../core';
import { Throttle } from '../../core/throttle';
import type { IExperiment, ILatestMetrics } from '../service';
import type { ILatestSource } from '../view/stalled';

import { ColorScales } from './color-scales';
import { askedColumns, withAsked } from './first-columns';
import type { GroupPath } from './groups';
import { CLOSED, GroupFolds, keyOf } from './groups';
import { Leaving } from './leaving';
import { rowsOf, runsOf } from './questions';
import type { ISelected } from './reading';
import { readGroups, readIds, readSelected, readValue } from './reading';
import type { ViewStore } from './saved-views';
import { RunSelection } from './selection';
import type { ICompletion, IQuestion, IRunColumns, IRunTable } from './service';
import type { ITableSource, ITableSubject } from './subject';
import { runSubject } from './subject';
import type { IShownColumn, IView } from './view-state';
import {
  FIRST_VIEW,
  groupedAlike,
  inOrder,
  isPlain,
  ofSameRuns
} from './view-state';
import { RunWindows } from './windows';

const REFRESH_MS = 500;
/**
 * How often the age of the shown rows is asked for, while they are shown, in
 * ms.
 */
const STATE_MS = 10_000;
const LAST_STATE_MS = 60_000;
/**
 * Values that are read for the smallest and the largest: the first may be
 * infinite.
 */
const ENDS = 50;

/** A table of runs, or of versions: its question, the visible rows, the selection. */
export class RunTableModel implements IDisposable, ILatestSource {
  constructor(options: RunTableModel.IOptions) {
    const { service, events, trans } = options;
    this._options = options;
    this.subject = options.subject ?? runSubject(trans);
    this._leaving = new Leaving(options.store, () => ({
      view: this._view,
      folding: this.folds.folding,
      opened: (options.keepsOpened && this._opened) || undefined
    }));
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
      service
        .window(question, 0, ENDS)
        .then(answer => answer.columns.find(each => each.column === column))
    );
    this.latest = new LatestMetrics(options.latest);
    this._state = new Poll({
      name: 'genops-lab:runs-state',
      auto: false,
      factory: () => this._lookAtState(),
      frequency: { interval: STATE_MS, backoff: true, max: LAST_STATE_MS },
      standby: 'when-hidden'
    });
    this.columns.changed.connect(this._onColumns, this);
    this.windows.changed.connect(this._onWindows, this);
    this.folds.changed.connect(() => {
      this._ask();
      this._leaving.soon();
    }, this);
    for (const kind of this.subject.kinds) {
      events.changed(kind).connect(this._onChanged, this);
    }
    events.resync.connect(this._onResync, this);
    this.ready = this._restore();
  }

  /** Settled when the saved state of the table is restored. */
  readonly ready: Promise<void>;
  readonly subject: ITableSubject;
  readonly windows: RunWindows;
  readonly columns: Resource<IRunColumns>;
  readonly experiments: Resource<IExperiment[]>;
  readonly selection: RunSelection;
  readonly scales: ColorScales;
  readonly latest: LatestMetrics;
  readonly folds = new GroupFolds();
  readonly charts = new ViewCharts();

  /** Emitted when the view, the open run or the dismissed advice changes. */
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
    return this._leaving.queries;
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
    // Keeps the server looking for changes that other programs make.
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
    void (value ? this._state.start() : this._state.stop());
  }

  /** Change the view. Another set of runs clears the selection. */
  setView(part: Partial<IView>): void {
    const old = this._view;
    this._view = { ...old, ...part };
    if (!groupedAlike(this._view, old)) {
      this.folds.begin(CLOSED);
    }
    if (!ofSameRuns(this._view, old)) {
      this.selection.clear();
    }
    if (this._view.columns) {
      this._shown = inOrder(this._view.columns);
      this._chosen = true;
    } else if (old.columns || this._view.experiments !== old.experiments) {
      this._chosen = false;
      this._asked = this._askedColumns();
      void this._choose();
    } else if (
      // A click on a head sorts, and leaves the column in its place.
      Object.keys(part).some(key => key !== 'sort') ||
      this._view.sort.some(({ column }) => !this._shows(column))
    ) {
      this._place();
    }
    this._ask();
    this._leaving.soon();
    this._changed.emit();
  }

  /** Change the columns, starting from the shown ones. */
  setColumns(
    change: (columns: readonly IShownColumn[]) => IShownColumn[]
  ): void {
    if (this._shown.length > 0) {
      this.setView({ columns: change(this._shown) });
    }
  }

  open(runId: string | null): void {
    this._opened = runId;
    if (this._options.keepsOpened) {
      this._leaving.soon();
    }
    this._changed.emit();
  }

  completions(
    text: string,
    cursor: number,
    signal: AbortSignal
  ): Promise<ICompletion[]> {
    return this._options.service.completions(text, cursor, signal);
  }

  isDismissed(advice: string): boolean {
    return this._leaving.dismissed.includes(advice);
  }

  dismiss(advice: string): void {
    this._leaving.dismiss(advice);
    this._changed.emit();
  }

  /** Return the ids of all selected runs, in the order of the table. */
  async selected(): Promise<string[]> {
    return (await this.frame([])).ids;
  }

  /**
   * Return the columns' values of the selected runs, fetched if necessary.
   * @throws ApiError
   */
  frame(columns: readonly string[]): Promise<ISelected> {
    return readSelected(
      this._options.service,
      runsOf(this._view, columns),
      this.selection,
      this.windows.snapshot.matched
    );
  }

  /** Select a group's runs, or deselect them. @throws ApiError */
  async toggleGroup(path: GroupPath, index: number): Promise<void> {
    const { service } = this._options;
    const ids = await readGroups(service, this._question([]), [path]);
    this.selection.toggleGroup(keyOf(path), ids, index);
  }

  latestMetrics(runId: string): Promise<ILatestMetrics> {
    return this._options.latest(runId);
  }

  /**
   * Return the value of one column of one run, such as its note. @throws
   * ApiError
   */
  value(runId: string, column: string): Promise<string> {
    return readValue(this._options.service, runId, column);
  }

  /** Fetch the visible rows again. */
  refresh(): void {
    this._refreshing.ask();
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this.visible = false;
    this._isDisposed = true;
    this._state.dispose();
    this._leaving.dispose();
    this.windows.dispose();
    this.columns.dispose();
    this.experiments.dispose();
    this._refreshing.dispose();
    Signal.clearData(this);
  }

  private _question(columns?: string[]): IQuestion {
    return rowsOf(
      this._view,
      this.subject.always,
      this._shown,
      this.folds.folding,
      columns
    );
  }

  private _ask(first: IRunTable | null = null): void {
    if (this._restored && this._shown.length > 0) {
      const question = this._question();
      this.windows.ask(question, first);
      this.scales.ask(
        runsOf(this._view, []),
        this._shown.filter(each => each.colored).map(each => each.name)
      );
    }
  }

  private async _restore(): Promise<void> {
    const left = await this._leaving.restore();
    if (this._isDisposed) {
      return;
    }
    this._restored = true;
    this._view = left.view;
    this.folds.begin(left.folding);
    this._opened ??= left.opened ?? null;
    this._shown = left.view.columns ? inOrder(left.view.columns) : [];
    this._chosen = this._shown.length > 0;
    this.columns.visible = this._visible && !this._chosen;
    this._ask();
    this._changed.emit();
  }

  /**
   * Put the columns of query and sort behind the name, unless the user arranged
   * the columns.
   */
  private _place(): void {
    this._asked = this._askedColumns();
    if (!this._view.columns && this._first.length > 0) {
      this._shown = withAsked(this._first, this._asked, this.subject.name);
    }
  }

  private _askedColumns(): string[] {
    return askedColumns(
      this._view,
      this.columns.value?.columns ?? [],
      this.subject.name
    );
  }

  private _shows(column: string): boolean {
    return this._shown.some(({ name }) => name === column);
  }

  private _onColumns(): void {
    if (this._asked.length === 0) {
      this._asked = this._askedColumns();
    }
    void this._choose();
  }

  /** Choose the default columns, once the columns are known. */
  private async _choose(): Promise<void> {
    const known = this.columns.value;
    this.columns.visible = this._visible && !this._chosen;
    if (!known || this._chosen || !this._restored || this._choosing) {
      return;
    }
    this._choosing = true;
    const { experiments } = this._view;
    const { columns, certain, sample } = await this.subject.choose(
      known,
      // Without the query: it may be wrong, and the columns stay when it
      // changes.
      names => ({ ...runsOf(this._view, names), query: '', sort: [] }),
      this._options.service
    );
    this._choosing = false;
    if (this._isDisposed || this._view.columns) {
      return;
    }
    this._chosen = certain && experiments === this._view.experiments;
    this.columns.visible = this._visible && !this._chosen;
    if (!sample && this._first.length > 0) {
      return; // No answer: the earlier choice stays.
    }
    this._first = columns;
    const shown = withAsked(columns, this._asked, this.subject.name);
    if (JSON.stringify(shown) !== JSON.stringify(this._shown)) {
      this._shown = shown;
      // If nothing was asked yet, the rows of the sample are the first rows.
      this._ask(this.windows.question || !isPlain(this._view) ? null : sample);
      this._changed.emit();
    }
    if (this.columns.value !== known) {
      void this._choose(); // More runs came in the meantime.
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

  /**
   * The server may be back: ask for its state now, however long the pauses have
   * become.
   */
  private _onResync(): void {
    this._onChanged();
    if (this._visible) {
      void this._state.refresh();
    }
  }

  /** This also tells the server that the table is still open. */
  private async _lookAtState(): Promise<void> {
    if (this._visible && this.windows.snapshot.state) {
      this.windows.setState(await this._options.service.state());
    }
  }

  private _onWindows(): void {
    const { rows, state, switching, error } = this.windows.snapshot;
    if (state?.refreshing && !error) {
      this._onChanged(); // the server answers when it knows more, after a second at the latest
    }
    const { query } = this._view;
    if (query && !switching && !error && rows.length > 0) {
      this._leaving.found(query);
    }
  }

  private _ids(first: number, end: number): Promise<string[]> {
    const { _options: options, windows } = this;
    const { rows } = windows.snapshot;
    return readIds(options.service, this._question([]), rows, first, end);
  }

  private _options: RunTableModel.IOptions;
  private _leaving: Leaving;
  private _state: Poll;
  private _view: IView = FIRST_VIEW;
  private _shown: readonly IShownColumn[] = [];
  /**
   * The columns that the table chose, and the columns of query and sort in
   * front of them.
   */
  private _first: readonly IShownColumn[] = [];
  private _asked: readonly string[] = [];
  private _opened: string | null = null;
  private _restored = false;
  private _chosen = false;
  private _choosing = false;
  private _visible = false;
  private _missed = false;
  private _listening: IDisposable | null = null;
  private _refreshing = new Throttle(() => this._refresh(), REFRESH_MS);
  private _changed = new Signal<this, void>(this);
  private _isDisposed = false;
}

export namespace RunTableModel {
  export interface IOptions {
    service: ITableSource;
    /** Default: runs. */
    subject?: ITableSubject;
    experiments: (signal: AbortSignal) => Promise<IExperiment[]>;
    latest: (runId: string) => Promise<ILatestMetrics>;
    store: ViewStore;
    /** Whether the open row is open again after a reload. */
    keepsOpened?: boolean;
    events: GenOpsEvents;
    live: LiveChannel;
    trans: TranslationBundle;
  }
}

type ILatestMetric = ILatestMetrics['metrics'][number];

const MOST_RUNS = 50;

/**
 * Steps and times of runs' latest metrics, which the table lacks: fetched when
 * the user points at one.
 */
export class LatestMetrics {
  constructor(private _fetch: (runId: string) => Promise<ILatestMetrics>) {}

  /**
   * Return a metric of a run. `version` is that of the shown rows: an answer
   * for another version is fetched again.
   *
   * @throws ApiError
   */
  async get(
    runId: string,
    metric: string,
    version: number
  ): Promise<ILatestMetric | undefined> {
    if (version !== this._version) {
      this._version = version;
      this._runs.clear();
    }
    let asked = this._runs.get(runId);
    if (!asked) {
      asked = this._fetch(runId);
      this._runs.set(runId, asked);
      asked.catch(() => this._runs.delete(runId));
      if (this._runs.size > MOST_RUNS) {
        this._runs.delete([...this._runs.keys()][0]);
      }
    }
    return (await asked).metrics.find(({ key }) => key === metric);
  }

  private _version = -1;
  private _runs = new Map<string, Promise<ILatestMetrics>>();
}

/**
 * The charts of named views, in the charts' own form. Open charts put their
 * state here, and read the state of a chosen view.
 */
export class ViewCharts {
  /** The state of the charts; null while they are closed. */
  now: PartialJSONObject | null = null;

  /** Emitted when a view with charts is chosen. */
  get chosen(): ISignal<this, void> {
    return this._chosen;
  }

  /** Set the charts of a chosen view; with null the charts stay as they are. */
  choose(charts: PartialJSONObject | null): void {
    this._wanted = charts;
    if (charts) {
      this._chosen.emit();
    }
  }

  /** Take the last choice, once: charts that are opened later use it then. */
  take(): PartialJSONObject | null {
    const wanted = this._wanted;
    this._wanted = null;
    return wanted;
  }

  private _wanted: PartialJSONObject | null = null;
  private _chosen = new Signal<this, void>(this);
}
