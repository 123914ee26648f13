/**
 * Shows a profile's summary, as an anywidget module: advice, the costliest
 * lines, busy and idle time of each device, and the operators in a chosen
 * order.
 */
import { Badge, follow, make, type IModel, type Tone } from './dom';

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
  /**
   * From Nsight Compute, kernel by kernel: busy and idle time mean nothing
   * there.
   */
  measured?: {
    kernels: {
      name: string;
      total_us: number;
      count: number;
      bound: string;
    }[];
    total_us: number;
  } | null;
  damaged: string;
}

interface IFindings {
  advice: {
    title: string;
    saving: string;
    evidence: string;
    suggestion: string;
    where: string;
  }[];
  more_advice: number;
  lines: { where: string; text: string; time: string; share: number }[];
  lines_of: 'device' | 'host';
}

export interface IProfileState {
  id: string;
  title: string;
  state: 'writing' | 'analyzing' | 'ready' | 'failed';
  message: string;
  /** What was recorded, and at which cost. */
  note: string;
  summary: ISummary | null;
  findings: IFindings | null;
}

type Bar = [name: string, share: number, text: string];
type Column = 'self_us' | 'device_us' | 'count';

const FIRST_ROWS = 8;
const MEASURED_KERNELS = 5;
/** The limit of a kernel, as text. */
const BOUNDS: Record<string, string> = {
  compute: ', bound by compute',
  memory: ', bound by memory',
  balanced: ', compute and memory balanced',
  latency: ', bound by latency'
};
/** In a profile with lines, operators are secondary. */
const FIRST_ROWS_BEHIND_LINES = 3;
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

/** Return a duration of a trace in a readable unit. */
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

export class ProfileView {
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
      this._advice,
      this._lines,
      this._busyLabel,
      this._busy,
      this._table,
      this._more,
      this._note
    );
    el.append(this._root);
    this._end = follow(
      _model,
      ['id', 'title', 'state', 'message', 'note', 'summary', 'findings'],
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
    const nothing =
      state === 'ready' &&
      summary !== null &&
      summary.operators.length + summary.devices.length === 0
        ? 'No PyTorch operator ran during the recording.'
        : '';
    const notes = [
      this._model.get('message'),
      summary?.damaged,
      nothing
    ].filter(Boolean);
    this._message.textContent = notes.join('\n');
    this._message.hidden = notes.length === 0;
    this._note.textContent = this._model.get('note') ?? '';
    this._note.hidden = !this._note.textContent;
    const findings = this._model.get('findings') ?? null;
    this._drawAdvice(findings);
    this._drawLines(findings);
    this._first = findings?.lines.length ? FIRST_ROWS_BEHIND_LINES : FIRST_ROWS;
    this._drawBusy(summary);
    this._operators = summary?.operators ?? [];
    this._drawOperators();
  }

  private _drawAdvice(findings: IFindings | null): void {
    const list = make('ol', '');
    list.append(
      ...(findings?.advice ?? []).map(one => {
        const item = make('li', '');
        const where = one.where ? ` (${one.where})` : '';
        item.append(
          make('strong', '', one.title),
          make('span', 'gol-view-muted', one.saving && ` ${one.saving}`),
          make('div', '', `${one.evidence}${where} ${one.suggestion}`.trim())
        );
        return item;
      })
    );
    const left = findings?.more_advice ?? 0;
    this._advice.replaceChildren(
      make('div', 'gol-profile-label', 'Suggested changes'),
      list,
      make(
        'div',
        'gol-view-muted',
        left > 0 ? `${left} more: Open shows all` : ''
      )
    );
    this._advice.hidden = list.childElementCount === 0;
  }

  private _drawLines(findings: IFindings | null): void {
    const lines = findings?.lines ?? [];
    const table = make('table', 'gol-profile-lines');
    const name =
      findings?.lines_of === 'device'
        ? 'Device time by line'
        : 'Time by line, on the CPU';
    table.createCaption().textContent = name;
    const body = table.createTBody();
    for (const one of lines) {
      const row = body.insertRow();
      const place = make('th', '', one.where);
      place.scope = 'row';
      row.append(place);
      const text = row.insertCell();
      text.append(make('code', '', one.text));
      text.title = one.text;
      const bar = make('span', 'gol-profile-bar');
      bar.setAttribute('aria-hidden', 'true');
      bar.append(segment('gol-profile-first', one.share));
      row.insertCell().append(bar);
      const percent = Math.round(100 * one.share);
      row.insertCell().textContent = `${one.time} (${percent >= 1 ? `${percent} %` : 'under 1 %'})`;
    }
    this._lines.replaceChildren(...(lines.length > 0 ? [table] : []));
  }

  private _drawBusy(summary: ISummary | null): void {
    this._busy.classList.toggle('gol-profile-measured', !!summary?.measured);
    if (summary?.measured) {
      const { kernels, total_us: total } = summary.measured;
      const shown = kernels.slice(0, MEASURED_KERNELS);
      this._drawBars(
        'Measured GPU kernels',
        shown.map(({ name, total_us: us, count, bound }): Bar => {
          const often = count > 1 ? `, ${count.toLocaleString()} launches` : '';
          const text = `${formatMicroseconds(us)}${often}${BOUNDS[bound] ?? ''}`;
          return [name, total > 0 ? us / total : 0, text];
        })
      );
      return;
    }
    const several = (summary?.ranks.length ?? 0) > 1;
    const spans: [string, ISpan][] = (summary?.devices ?? []).map(device => [
      several ? `${device.device}, rank ${device.rank}` : device.device,
      device
    ]);
    if (summary?.cpu) {
      spans.push(['CPU operators', summary.cpu]);
    }
    const shown = spans.filter(([, span]) => span.span_us > 0);
    this._drawBars(
      'Busy and idle time',
      shown.map(([name, span]): Bar => {
        const share = span.busy_us / span.span_us;
        const text = `busy ${Math.round(100 * share)} %, idle ${formatMicroseconds(span.idle_us)}`;
        return [name, share, text];
      })
    );
  }

  private _drawBars(label: string, bars: Bar[]): void {
    this._busyLabel.hidden = this._busy.hidden = bars.length === 0;
    this._busyLabel.textContent = label;
    this._busy.replaceChildren(
      ...bars.flatMap(([name, share, text]) => {
        const bar = make('span', 'gol-profile-bar');
        bar.setAttribute('role', 'img');
        bar.setAttribute('aria-label', `${name}: ${text}`);
        bar.append(segment('gol-profile-first', share));
        const said = make('span', 'gol-view-muted', text);
        said.setAttribute('aria-hidden', 'true');
        const called = make('span', '', name);
        called.title = name;
        return [called, bar, said];
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
    const rows = this._all ? sorted : sorted.slice(0, this._first);
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
    this._more.hidden = sorted.length <= this._first;
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
  private _advice = make('div', 'gol-profile-advice');
  private _lines = make('div', '');
  private _note = make('p', 'gol-view-muted gol-profile-note');
  private _busyLabel = make('div', 'gol-profile-label');
  private _busy = make('div', 'gol-profile-busy');
  private _table = make('table', 'gol-profile-table');
  private _body = make('tbody', '');
  private _heads = new Map<Column, HTMLElement>();
  private _more = make('button', 'gol-profile-more');
  private _operators: IOperator[] = [];
  private _column: Column = 'self_us';
  private _descending = true;
  private _all = false;
  private _first = FIRST_ROWS;
  private _end: () => void;
}
