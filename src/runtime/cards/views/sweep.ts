/**
 * Shows a running sweep, as an anywidget module: its trials, the objective by
 * trial, and a stop button. All text comes from the kernel; the few words here
 * are English, as the kernel's are.
 */
import { formatNumber } from '../../../core/format';

import { Badge, follow, make, type IModel, type Tone } from './dom';
import { SmallChart, type ISeries } from './small-chart';

interface ITrial {
  number: number;
  state: string;
  params: Record<string, unknown>;
  value: number | null;
  message: string;
  run_id: string;
  kernel_name: string;
}

interface ISummary {
  metric: string;
  n: number;
  mean: number | null;
  low: number | null;
  high: number | null;
}

interface ISweepState {
  id: string;
  name: string;
  state: string;
  metric: string;
  planned: number;
  best: number | null;
  message: string;
  hint: string;
  trials: ITrial[];
  counts: Record<string, number>;
  summary: ISummary[];
  series: Record<string, ISeries>;
}

export interface ISweepModel extends IModel<ISweepState> {
  send(content: unknown): void;
}

const TONES: Record<string, Tone> = {
  running: 'busy',
  starting: 'busy',
  stopping: 'busy',
  waiting: 'still',
  finished: 'good',
  done: 'good',
  failed: 'bad'
};
const ENDED = ['finished', 'failed', 'pruned', 'stopped'];
const FIELDS: (keyof ISweepState)[] = [
  'state',
  'best',
  'message',
  'hint',
  'trials',
  'counts',
  'summary',
  'series'
];

/** Return a value in a few characters; empty for null. */
export function shownValue(value: unknown): string {
  if (value === null || value === undefined) {
    return '';
  }
  const text = typeof value === 'number' ? formatNumber(value) : String(value);
  return text.length > 40 ? `${text.slice(0, 39)}…` : text;
}

/** Return "3 of 12 trials (1 failed)". */
export function progressOf(
  counts: Record<string, number>,
  planned: number
): string {
  const ended = ENDED.reduce((sum, name) => sum + (counts[name] ?? 0), 0);
  const others = ENDED.slice(1)
    .filter(name => counts[name])
    .map(name => `${counts[name]} ${name}`);
  return `${ended} of ${planned} trials${others.length ? ` (${others.join(', ')})` : ''}`;
}

export class SweepView {
  constructor(
    private _model: ISweepModel,
    el: HTMLElement
  ) {
    this._root.setAttribute('role', 'group');
    this._stop.addEventListener('click', () => {
      this._stop.disabled = true;
      _model.send({ do: 'stop' });
    });
    this._head.append(
      this._title,
      this._badge.node,
      this._progress,
      this._id,
      this._stop
    );
    this._scroll.tabIndex = 0;
    this._scroll.setAttribute('role', 'region');
    this._scroll.setAttribute('aria-label', 'Trials');
    this._scroll.append(this._table);
    this._root.append(
      this._head,
      this._message,
      this._plot,
      this._summary,
      this._scroll
    );
    el.append(this._root);
    this._end = follow(_model, FIELDS, () => this._draw());
  }

  dispose(): void {
    this._end();
    this._chart?.dispose();
    this._root.remove();
  }

  private _draw(): void {
    const get = <K extends keyof ISweepState>(name: K) => this._model.get(name);
    const state = get('state') ?? '';
    const name = get('name') ?? '';
    this._root.setAttribute('aria-label', `Sweep ${name}`);
    this._title.textContent = `Sweep ${name}`;
    this._id.textContent = get('id') ?? '';
    this._badge.set(state, TONES[state] ?? 'still');
    this._progress.textContent = progressOf(
      get('counts') ?? {},
      get('planned') ?? 0
    );
    this._stop.hidden = state !== 'running';
    if (state === 'running') {
      this._stop.setAttribute('aria-label', `Stop the sweep ${name}`);
    }
    const words = [get('message'), get('hint')].filter(Boolean).join(' ');
    this._message.textContent = words;
    this._message.hidden = words === '';
    this._drawPlot(get('series') ?? {});
    this._drawSummary(get('summary') ?? []);
    this._drawTable(get('trials') ?? [], get('best') ?? null);
  }

  private _drawPlot(series: Record<string, ISeries>): void {
    const names = Object.keys(series);
    const shown = names.length > 0 && series[names[0]].steps.length > 1;
    this._plot.hidden = !shown;
    if (!shown) {
      return;
    }
    if (!this._chart) {
      this._chart = new SmallChart(names[0], names);
      this._plot.append(this._chart.node);
    }
    this._chart.update(series);
  }

  private _drawSummary(summary: ISummary[]): void {
    this._summary.hidden = summary.length === 0;
    this._summary.replaceChildren();
    this._headings(this._summary, ['Metric', 'n', 'Mean', '95 % interval']);
    const body = this._summary.createTBody();
    for (const one of summary) {
      const row = body.insertRow();
      row.insertCell().textContent = one.metric;
      row.insertCell().textContent = String(one.n);
      row.insertCell().textContent = shownValue(one.mean);
      row.insertCell().textContent =
        one.low === null || one.high === null
          ? 'no interval'
          : `${shownValue(one.low)} to ${shownValue(one.high)}`;
    }
  }

  private _drawTable(trials: ITrial[], best: number | null): void {
    const names = [
      ...new Set(trials.flatMap(trial => Object.keys(trial.params)))
    ];
    const metric = this._model.get('metric') ?? '';
    this._scroll.hidden = trials.length === 0;
    this._table.replaceChildren();
    this._headings(this._table, [
      'Trial',
      'State',
      ...names,
      metric || 'Metric',
      ''
    ]);
    const body = this._table.createTBody();
    for (const trial of trials) {
      const row = body.insertRow();
      row.dataset.state = trial.state;
      if (trial.number === best) {
        row.classList.add('gol-sweep-best');
      }
      row.insertCell().textContent = String(trial.number);
      const state = row.insertCell();
      state.textContent = trial.state;
      state.title = [trial.kernel_name, trial.run_id].filter(Boolean).join(' ');
      for (const name of names) {
        row.insertCell().textContent = shownValue(trial.params[name]);
      }
      row.insertCell().textContent = shownValue(trial.value);
      const note = row.insertCell();
      note.textContent = trial.number === best ? 'best' : trial.message;
      note.title = trial.message;
      note.className = 'gol-sweep-note';
    }
  }

  private _headings(table: HTMLTableElement, names: string[]): void {
    const row = table.createTHead().insertRow();
    for (const name of names) {
      const th = make('th', '', name);
      th.scope = 'col';
      row.append(th);
    }
  }

  private _root = make('div', 'gol-view gol-sweep');
  private _head = make('div', 'gol-view-head');
  private _title = make('span', 'gol-view-title');
  private _badge = new Badge();
  private _progress = make('span', '');
  private _id = make('span', 'gol-view-muted');
  private _stop = make('button', 'gol-sweep-stop', 'Stop');
  private _message = make('p', 'gol-view-message');
  private _plot = make('div', 'gol-sweep-plot');
  private _summary = make('table', 'gol-sweep-table');
  private _scroll = make('div', 'gol-sweep-scroll');
  private _table = make('table', 'gol-sweep-table');
  private _chart: SmallChart | null = null;
  private _end: () => void;
}
