/**
 * A profile's summary, as an anywidget module: busy and idle time of each
 * device, and the operators in the order that is asked for.
 */
import base from './_base.css';
import { Badge, follow, make, type IModel, type Tone } from './_dom';
import css from './profile.css';

interface ISpan {
  span_us: number;
  busy_us: number;
  idle_us: number;
}

interface IOperator {
  name: string;
  count: number;
  self_us: number;
  device_us: number;
}

interface ISummary {
  devices: (ISpan & { device: string; rank: number })[];
  ranks: number[];
  cpu: ISpan;
  operators: IOperator[];
  damaged: string;
}

interface IProfileState {
  id: string;
  title: string;
  state: 'writing' | 'analyzing' | 'ready' | 'failed';
  message: string;
  summary: ISummary | null;
}

type Column = 'self_us' | 'device_us' | 'count';

const FIRST_ROWS = 8;
const STATES: Record<string, [word: string, tone: Tone]> = {
  writing: ['Writing the trace…', 'busy'],
  analyzing: ['Analysing…', 'busy'],
  ready: ['Ready', 'good'],
  failed: ['Failed', 'bad']
};
const COLUMNS: [Column, string][] = [
  ['self_us', 'CPU time'],
  ['device_us', 'Device time'],
  ['count', 'Calls']
];

/** A duration of a trace in the unit that reads best. */
export function formatMicroseconds(us: number): string {
  if (us >= 1e6) {
    return `${(us / 1e6).toFixed(2)} s`;
  }
  return us >= 1e3 ? `${(us / 1e3).toFixed(2)} ms` : `${us.toFixed(1)} µs`;
}

function segment(className: string, share: number): HTMLElement {
  const node = make('span', className);
  node.style.width = `${100 * Math.min(Math.max(share, 0), 1)}%`;
  return node;
}

class ProfileView {
  constructor(
    private _model: IModel<IProfileState>,
    el: HTMLElement
  ) {
    this._root.setAttribute('role', 'group');
    this._open.textContent = 'Open';
    this._open.title = 'Open the profile in the main area';
    this._head.append(this._title, this._badge.node, this._open);
    this._more.type = 'button';
    this._more.addEventListener('click', () => {
      this._all = !this._all;
      this._drawOperators();
    });
    this._buildTable();
    this._root.append(
      this._head,
      this._message,
      this._busyLabel,
      this._busy,
      this._table,
      this._more
    );
    el.append(make('style', '', `${base}\n${css}`), this._root);
    this._end = follow(
      _model,
      ['id', 'title', 'state', 'message', 'summary'],
      () => this._draw()
    );
  }

  dispose(): void {
    this._end();
    this._root.remove();
  }

  private _buildTable(): void {
    this._table.setAttribute('aria-label', 'Time by operator');
    const row = this._table.createTHead().insertRow();
    for (const name of ['Operator', 'Share']) {
      const th = make('th', '', name);
      th.scope = 'col';
      row.append(th);
    }
    for (const [column, name] of COLUMNS) {
      const th = make('th', '');
      th.scope = 'col';
      const button = make('button', '', name);
      button.type = 'button';
      button.addEventListener('click', () => {
        this._descending = this._column === column ? !this._descending : true;
        this._column = column;
        this._drawOperators();
      });
      th.append(button);
      row.append(th);
      this._heads.set(column, th);
    }
    this._table.append(this._body);
  }

  private _draw(): void {
    const title = this._model.get('title') || 'profile';
    const state = this._model.get('state') ?? 'analyzing';
    const [word, tone] = STATES[state] ?? [state, 'still'];
    const summary = this._model.get('summary') ?? null;
    this._root.setAttribute('aria-label', `Profile ${title}`);
    this._root.dataset.tone = tone;
    this._title.textContent = title;
    this._badge.set(word, tone);
    const id = this._model.get('id') ?? '';
    this._open.hidden = !id || state !== 'ready';
    this._open.href = `#genops-profile=${encodeURIComponent(id)}`;
    const notes = [this._model.get('message'), summary?.damaged].filter(
      Boolean
    );
    this._message.textContent = notes.join('\n');
    this._message.hidden = notes.length === 0;
    this._drawBusy(summary);
    this._operators = summary?.operators ?? [];
    this._drawOperators();
  }

  private _drawBusy(summary: ISummary | null): void {
    const several = (summary?.ranks.length ?? 0) > 1;
    const spans: [string, ISpan][] = (summary?.devices ?? []).map(device => [
      several ? `${device.device}, rank ${device.rank}` : device.device,
      device
    ]);
    if (summary?.cpu) {
      spans.push(['CPU operators', summary.cpu]);
    }
    const shown = spans.filter(([, span]) => span.span_us > 0);
    this._busyLabel.hidden = this._busy.hidden = shown.length === 0;
    this._busy.replaceChildren(
      ...shown.flatMap(([name, span]) => {
        const share = span.busy_us / span.span_us;
        const text = `busy ${Math.round(100 * share)} %, idle ${formatMicroseconds(span.idle_us)}`;
        const bar = make('span', 'gol-profile-bar');
        bar.setAttribute('role', 'img');
        bar.setAttribute('aria-label', `${name}: ${text}`);
        bar.append(segment('gol-profile-first', share));
        const said = make('span', 'gol-view-muted', text);
        said.setAttribute('aria-hidden', 'true');
        return [make('span', '', name), bar, said];
      })
    );
  }

  private _drawOperators(): void {
    const sign = this._descending ? -1 : 1;
    const column = this._column;
    const sorted = [...this._operators].sort(
      (a, b) => sign * (a[column] - b[column]) || a.name.localeCompare(b.name)
    );
    for (const [name, th] of this._heads) {
      const order = this._descending ? 'descending' : 'ascending';
      th.setAttribute('aria-sort', name === column ? order : 'none');
    }
    const total = (one: IOperator) => one.self_us + one.device_us;
    const most = Math.max(...sorted.map(total), Number.MIN_VALUE);
    const rows = this._all ? sorted : sorted.slice(0, FIRST_ROWS);
    this._body.replaceChildren(
      ...rows.map(one => {
        const row = make('tr', '');
        const name = make('th', '', one.name);
        name.scope = 'row';
        name.title = one.name;
        const bar = make('span', 'gol-profile-bar');
        bar.setAttribute('aria-hidden', 'true');
        bar.append(
          segment('gol-profile-first', one.self_us / most),
          segment('gol-profile-second', one.device_us / most)
        );
        row.append(name);
        row.insertCell().append(bar);
        row.insertCell().textContent = formatMicroseconds(one.self_us);
        row.insertCell().textContent =
          one.device_us > 0 ? formatMicroseconds(one.device_us) : '–';
        row.insertCell().textContent = one.count.toLocaleString();
        return row;
      })
    );
    this._table.hidden = sorted.length === 0;
    this._more.hidden = sorted.length <= FIRST_ROWS;
    this._more.setAttribute('aria-expanded', String(this._all));
    this._more.textContent = this._all
      ? 'Show fewer'
      : `Show all ${sorted.length} operators`;
  }

  private _root = make('div', 'gol-view gol-profile');
  private _head = make('div', 'gol-view-head');
  private _title = make('span', 'gol-view-title');
  private _badge = new Badge();
  private _open = make('a', '');
  private _message = make('p', 'gol-view-message');
  private _busyLabel = make(
    'div',
    'gol-profile-label',
    'Time with work and without'
  );
  private _busy = make('div', 'gol-profile-busy');
  private _table = make('table', 'gol-profile-table');
  private _body = make('tbody', '');
  private _heads = new Map<Column, HTMLElement>();
  private _more = make('button', 'gol-profile-more');
  private _operators: IOperator[] = [];
  private _column: Column = 'self_us';
  private _descending = true;
  private _all = false;
  private _end: () => void;
}

function render(given: {
  model: IModel<IProfileState>;
  el: HTMLElement;
}): () => void {
  const view = new ProfileView(given.model, given.el);
  return () => view.dispose();
}

export default { render };
