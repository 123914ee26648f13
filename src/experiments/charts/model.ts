import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import { Poll } from '@lumino/polling';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { GenOpsEvents, LiveChannel } from '../../core';
import { ApiError } from '../../core';
import { Throttle } from '../../core/throttle';
import type { RunTableModel } from '../table/model';
import { runColors } from '../table/run-color';
import type {
  IQuestion,
  IRunColumnInfo,
  RunTableService
} from '../table/service';

import type { IBoard, ICard } from './cards';
import { FIRST_BOARD, asBoard } from './cards';
import type { ICondition } from './conditions';
import { ChartData } from './data';
import type { IHistory } from './histories';
import type { BoardStore } from './history-cache';
import { boardJson } from './history-cache';
import { Narrowing } from './narrowing';
import type { IRows } from './rows';
import type { ChartsService, IImportance } from './service';

const REFRESH_MS = 1000;
/**
 * Interval of requests, in ms: without any for some minutes the server stops
 * looking for changes.
 */
const STILL_HERE_MS = 60_000;
const FIRST_RETRY_MS = 2000;
const LAST_RETRY_MS = 30_000;

/** Charts of the table's runs: the board, and its data. */
export class ChartsModel implements IDisposable {
  constructor(private _options: ChartsModel.IOptions) {
    const { table, events } = _options;
    this._poll = new Poll({
      name: 'genops-lab:charts',
      auto: false,
      factory: () => _options.runs.state(),
      frequency: { interval: STILL_HERE_MS, backoff: true },
      standby: 'when-hidden'
    });
    table.changed.connect(this._onTable, this);
    table.selection.changed.connect(this._onSelection, this);
    table.charts.chosen.connect(this._takeView, this);
    events.changed('run').connect(this._onChanged, this);
    events.resync.connect(this._onChanged, this);
    this._narrowing = new Narrowing(table);
    this._data = new ChartData({
      runs: _options.runs,
      service: _options.service,
      onPart: () => this._changed.emit()
    });
    void this._restore();
  }

  /** Emitted when something that is drawn changes. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get table(): ITable {
    return this._options.table;
  }

  get board(): IBoard {
    return this._board;
  }

  /** The cards in their order; empty until they are chosen. */
  get cards(): readonly ICard[] {
    return this._board.cards ?? this._data.firstCards ?? [];
  }

  /** All existing columns. */
  get columns(): readonly IRunColumnInfo[] {
    return this._data.columns;
  }

  /** The runs with curves, with name and status. */
  get curveRuns(): IRows {
    return this._data.curveRuns;
  }

  /** The runs of the other cards. */
  get rows(): IRows {
    return this._data.rows;
  }

  get error(): ApiError | null {
    return this._error;
  }

  get isLoaded(): boolean {
    return this._isLoaded;
  }

  /** The visible part of x of all curves. */
  get zoom(): readonly [number, number] | null {
    return this._zoom;
  }

  get hidden(): ReadonlySet<string> {
    return this._hidden;
  }

  /** The conditions that brushes added to the table's query. */
  get conditions(): readonly string[] {
    return this._narrowing.conditions;
  }

  histories(metric: string): ReadonlyMap<string, IHistory> {
    return this._data.histories(metric);
  }

  importance(metric: string): IImportance | null {
    return this._data.importance.get(metric) ?? null;
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
    this._listening = value
      ? this._options.live.subscribe('changes', data =>
          this._options.events.receive(data)
        )
      : null;
    void (value ? this._poll.start() : this._poll.stop());
    if (value) {
      this._isStale = true;
      this._onTable();
      this._refreshing.ask();
    } else {
      this._abort?.abort();
      this._isFetching = false;
      window.clearTimeout(this._retry);
    }
  }

  setBoard(part: Partial<IBoard>): void {
    const old = this._board;
    this._board = { ...old, ...part };
    if (this._board.x !== old.x) {
      this._zoom = null;
    }
    this._options.store.leaveSoon(this._board);
    this.table.charts.now = boardJson(this._board);
    this._changed.emit();
    void this._refresh();
  }

  setCard(card: ICard): void {
    this.setBoard({
      cards: this.cards.some(({ id }) => id === card.id)
        ? this.cards.map(each => (each.id === card.id ? card : each))
        : [...this.cards, card]
    });
  }

  removeCard(id: string): void {
    this.setBoard({ cards: this.cards.filter(each => each.id !== id) });
  }

  /** Put a card before another one, or at the end. */
  moveCard(id: string, step: number): void {
    const cards = [...this.cards];
    const from = cards.findIndex(each => each.id === id);
    const to = Math.min(Math.max(from + step, 0), cards.length - 1);
    if (from >= 0 && from !== to) {
      cards.splice(to, 0, ...cards.splice(from, 1));
      this.setBoard({ cards });
    }
  }

  /**
   * Set the width of a card's curves, in pixels, which is also the number of
   * points to fetch.
   */
  setWidth(pixels: number): void {
    // In steps, so that dragging an edge causes few requests.
    const buckets = Math.min(
      Math.max(Math.ceil(pixels / 200) * 200, 200),
      4000
    );
    if (buckets > this._width) {
      this._width = buckets;
      void this._refresh();
    }
  }

  setZoom(zoom: readonly [number, number] | null): void {
    this._zoom = zoom;
    this._changed.emit();
    void this._refresh();
  }

  toggleHidden(runId: string): void {
    const hidden = new Set(this._hidden);
    if (!hidden.delete(runId)) {
      hidden.add(runId);
    }
    this._hidden = hidden;
    this._changed.emit();
  }

  /** Add brushed conditions to the table's query. */
  narrow(conditions: readonly ICondition[]): void {
    this._narrowing.narrow(conditions);
    this._changed.emit();
  }

  /** Remove a condition. */
  widen(condition: string): void {
    this._narrowing.widen(condition);
    this._changed.emit();
  }

  refresh(): void {
    this._isStale = true;
    this._refreshing.ask();
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this.visible = false;
    this._isDisposed = true;
    this._poll.dispose();
    this._refreshing.dispose();
    this._options.store.dispose();
    this.table.charts.now = null;
    runColors.leave();
    Signal.clearData(this);
  }

  private get _question(): IQuestion {
    const { experiments, query, sort, lifecycle } = this.table.view;
    return {
      experiments: [...experiments],
      query,
      sort: sort.map(each => ({ ...each })),
      lifecycle,
      columns: []
    };
  }

  private async _restore(): Promise<void> {
    try {
      this._board = await this._options.store.left();
    } catch (reason) {
      console.warn('GenOps Lab: cannot restore the charts', reason);
    }
    if (this._isDisposed) {
      return;
    }
    this._restored = true;
    this.table.charts.now = boardJson(this._board);
    this._takeView();
    this._changed.emit();
    void this._refresh();
  }

  /**
   * Use the charts of a view that is chosen, or was chosen before the charts
   * opened.
   */
  private _takeView(): void {
    const charts = this._restored ? this.table.charts.take() : null;
    if (charts) {
      this.setBoard(asBoard(charts));
    }
  }

  private _onTable(): void {
    const key = JSON.stringify(this._question);
    const widened = this._narrowing.look();
    if (key !== this._key || widened) {
      this._key = key;
      this._changed.emit();
      void this._refresh();
    }
  }

  private _onSelection(): void {
    this._changed.emit();
    if (this._board.selectedOnly) {
      void this._refresh();
    }
  }

  private _onChanged(): void {
    this._isStale = true;
    this._refreshing.ask();
  }

  /** Fetch new data after the running fetch. */
  private _follow(): void {
    if (this._isFetching) {
      this._again = true;
    } else {
      void this._refresh();
    }
  }

  /** Fetch the visible data; a fetch for an older state is dropped. */
  private async _refresh(): Promise<void> {
    if (!this._visible || !this._restored || this._isDisposed) {
      return;
    }
    this._abort?.abort();
    const abort = (this._abort = new AbortController());
    window.clearTimeout(this._retry);
    this._isFetching = true;
    try {
      await this._data.fetch(
        {
          question: this._question,
          board: this._board,
          selection: this.table.selection,
          zoom: this._zoom,
          width: this._width,
          stale: this._isStale
        },
        abort.signal
      );
      if (abort.signal.aborted) {
        return;
      }
      this._error = null;
      this._isLoaded = true;
      this._isStale = this._again;
      this._delay = FIRST_RETRY_MS;
    } catch (reason) {
      if (abort.signal.aborted) {
        return;
      }
      this._error = ApiError.from(reason, this._options.trans);
      if (this._error.transient) {
        this._retry = window.setTimeout(
          () => void this._refresh(),
          this._delay
        );
        this._delay = Math.min(this._delay * 2, LAST_RETRY_MS);
      }
    }
    this._isFetching = false;
    this._changed.emit();
    if (this._again) {
      this._again = false;
      this._refreshing.ask();
    }
  }

  private _poll: Poll;
  private _narrowing: Narrowing;
  private _data: ChartData;
  private _board: IBoard = FIRST_BOARD;
  private _hidden: ReadonlySet<string> = new Set();
  private _zoom: readonly [number, number] | null = null;
  private _width = 400;
  private _key = '';
  private _error: ApiError | null = null;
  private _isLoaded = false;
  private _isFetching = false;
  /** Whether runs may have changed since they were fetched. */
  private _isStale = true;
  /** Whether something changed during the fetch. */
  private _again = false;
  private _restored = false;
  private _visible = false;
  private _listening: IDisposable | null = null;
  private _abort: AbortController | null = null;
  private _retry: number | undefined;
  private _delay = FIRST_RETRY_MS;
  private _refreshing = new Throttle(() => this._follow(), REFRESH_MS);
  private _changed = new Signal<this, void>(this);
  private _isDisposed = false;
}

export namespace ChartsModel {
  export interface IOptions {
    table: ITable;
    runs: Pick<RunTableService, 'window' | 'columns' | 'state'>;
    service: Pick<ChartsService, 'histories' | 'importance'>;
    store: BoardStore;
    events: GenOpsEvents;
    live: LiveChannel;
    trans: TranslationBundle;
  }
}

/** The part of the table that the charts use. */
export type ITable = Pick<
  RunTableModel,
  'view' | 'changed' | 'selection' | 'setView' | 'open' | 'windows' | 'charts'
>;
