/**
 * Draws the live chart of a run.
 *
 * The module also travels with the kernel's message (`src/runtime/widgets`), so
 * it imports nothing of JupyterLab and works in VS Code, offline. All text
 * comes from the kernel or is a metric's name; the few words here are English,
 * as the kernel's are.
 */
import { groupOf } from '../../../core/metric-names';
import { formatDuration, formatNumber } from '../../../core/format';

import { Badge, follow, make, type IModel, type Tone } from './dom';
import { divergedNow, lastOf, SmallChart, type ISeries } from './small-chart';

export interface IRunState {
  title: string;
  status: 'RUNNING' | 'FINISHED' | 'FAILED' | 'KILLED' | 'UNKNOWN';
  series: Record<string, ISeries>;
  /** "NaN since step 3", by metric. */
  diverged: Record<string, string>;
  params: Record<string, unknown>;
  elapsed_s: number;
  run_id: string;
  message: string;
}

const MOST_PARAMS = 12;
const NO_SERIES: Record<string, ISeries> = {};
const FIELDS: (keyof IRunState)[] = [
  'title',
  'status',
  'series',
  'diverged',
  'params',
  'elapsed_s',
  'message'
];

const STATUS: Record<IRunState['status'], [word: string, tone: Tone]> = {
  RUNNING: ['Running', 'busy'],
  FINISHED: ['Finished', 'good'],
  FAILED: ['Failed', 'bad'],
  KILLED: ['Stopped', 'still'],
  UNKNOWN: ['Unknown', 'still']
};

/**
 * Group metrics into charts, in the order in which the metrics came; system
 * metrics are apart.
 */
export function groupMetrics(names: string[]): {
  charts: Map<string, string[]>;
  system: Map<string, string[]>;
} {
  const charts = new Map<string, string[]>();
  const system = new Map<string, string[]>();
  for (const name of names) {
    const into = name.startsWith('system/') ? system : charts;
    const group = groupOf(name);
    into.set(group, [...(into.get(group) ?? []), name]);
  }
  return { charts, system };
}

export class RunView {
  constructor(
    private _model: IModel<IRunState>,
    el: HTMLElement
  ) {
    this._root.setAttribute('role', 'group');
    this._diverged.setAttribute('role', 'status');
    this._params.setAttribute('role', 'list');
    this._params.setAttribute('aria-label', 'Parameters');
    this._system.append(
      make('summary', '', 'System metrics'),
      this._systemGrid
    );
    this._head.append(this._title, this._badge.node, this._elapsed);
    this._root.append(
      this._head,
      this._diverged,
      this._params,
      this._message,
      this._grid,
      this._system,
      this._hidden
    );
    this._hidden.append(this._table);
    el.append(this._root);
    this._end = follow(_model, FIELDS, () => this._draw());
  }

  dispose(): void {
    this._end();
    this._charts.forEach(chart => chart.dispose());
    this._root.remove();
  }

  private _draw(): void {
    const status = this._model.get('status') ?? 'RUNNING';
    const series = this._model.get('series') ?? NO_SERIES;
    const title = this._model.get('title') || 'Run';
    // A newer kernel may send another status.
    const [word, tone] = STATUS[status] ?? [status, 'still'];

    this._root.dataset.tone = tone;
    this._badge.set(word, tone);
    this._root.setAttribute('aria-label', `Run ${title}`);
    this._title.textContent = title;
    this._title.title = this._model.get('run_id') ?? '';
    this._elapsed.textContent = formatDuration(
      this._model.get('elapsed_s') ?? 0
    );
    const message = this._model.get('message') ?? '';
    this._message.textContent = message;
    this._message.hidden = message === '';
    const diverged = this._model.get('diverged') ?? {};
    const params = this._model.get('params') ?? {};
    // The time alone changes often; small fields come with it again.
    const words = JSON.stringify([title, diverged, params]);
    if (series === this._series && words === this._words) {
      return;
    }
    this._series = series;
    this._words = words;
    this._drawDiverged(diverged);
    this._drawParams(params);
    this._drawCharts(series, diverged);
    this._drawTable(title, series, diverged);
  }

  private _drawDiverged(diverged: Record<string, string>): void {
    const words = Object.entries(diverged).map(([name, how]) =>
      make('div', '', `${name} is ${how}`)
    );
    this._diverged.replaceChildren(...words);
    this._diverged.hidden = words.length === 0;
  }

  private _drawParams(params: Record<string, unknown>): void {
    const entries = Object.entries(params);
    const shown = entries.slice(0, MOST_PARAMS).map(([name, value]) => {
      const pair = make('span', 'gol-run-param');
      const text = typeof value === 'string' ? value : JSON.stringify(value);
      pair.append(make('span', 'gol-run-name', name), text);
      pair.title = `${name} = ${text}`;
      return pair;
    });
    if (entries.length > MOST_PARAMS) {
      shown.push(
        make('span', 'gol-run-name', `and ${entries.length - MOST_PARAMS} more`)
      );
    }
    shown.forEach(node => node.setAttribute('role', 'listitem'));
    this._params.replaceChildren(...shown);
    this._params.hidden = shown.length === 0;
  }

  private _drawCharts(
    series: Record<string, ISeries>,
    diverged: Record<string, string>
  ): void {
    const names = Object.keys(series);
    const { charts, system } = groupMetrics(names);
    const shape = JSON.stringify([[...charts], [...system]]);
    if (shape !== this._shape) {
      this._shape = shape;
      this._charts.forEach(chart => chart.dispose());
      const build = (groups: Map<string, string[]>) =>
        [...groups].map(([group, metrics]) => new SmallChart(group, metrics));
      const own = build(charts);
      const apart = build(system);
      this._charts = [...own, ...apart];
      this._grid.replaceChildren(...own.map(chart => chart.node));
      this._systemGrid.replaceChildren(...apart.map(chart => chart.node));
      this._system.hidden = apart.length === 0;
    }
    this._charts.forEach(chart => chart.update(series, diverged));
  }

  private _drawTable(
    title: string,
    series: Record<string, ISeries>,
    diverged: Record<string, string>
  ): void {
    this._table.replaceChildren(
      make('caption', '', `Latest metrics of ${title}`)
    );
    const head = this._table.createTHead().insertRow();
    for (const name of ['Metric', 'Step', 'Value']) {
      const th = make('th', '', name);
      th.scope = 'col';
      head.append(th);
    }
    const body = this._table.createTBody();
    for (const name of Object.keys(series)) {
      const bad = divergedNow(series[name], diverged[name]);
      const last = lastOf(series[name]);
      const row = body.insertRow();
      const th = make('th', '', name);
      th.scope = 'row';
      row.append(th);
      const step = bad?.step ?? last?.[0];
      row.insertCell().textContent =
        step === undefined ? '' : formatNumber(step);
      row.insertCell().textContent =
        bad?.value ?? (last ? formatNumber(last[1]) : '');
    }
  }

  private _root = make('div', 'gol-view gol-run');
  private _head = make('div', 'gol-view-head');
  private _title = make('span', 'gol-view-title');
  private _badge = new Badge();
  private _elapsed = make('span', 'gol-view-muted');
  private _diverged = make('div', 'gol-run-diverged');
  private _params = make('div', 'gol-run-params');
  private _message = make('p', 'gol-view-message');
  private _grid = make('div', 'gol-run-grid');
  private _system = make('details', 'gol-run-system');
  private _systemGrid = make('div', 'gol-run-grid');
  /**
   * A table keeps its own height whatever its style says, so the output would
   * scroll.
   */
  private _hidden = make('div', 'gol-run-hidden');
  private _table = make('table', '');
  private _charts: SmallChart[] = [];
  private _shape = '';
  /** The series on the screen. */
  private _series: Record<string, ISeries> | null = null;
  private _words = '';
  private _end: () => void;
}
