/**
 * Shows a deployment while it starts and in its first minute, as an anywidget
 * module. Its key never reaches this code.
 */
import { formatNumber } from '../../../core/format';

import { Badge, follow, make, type IModel, type Tone } from './dom';

export interface IDeploymentState {
  name: string;
  model: string;
  version: string;
  state: string;
  url: string;
  requests: number;
  errors: number;
  latency_ms: number | null;
  /** Seconds since 1970. */
  lease_until: number;
  message: string;
  hint: string;
}

const STATES: Record<string, [word: string, tone: Tone]> = {
  preparing: ['Preparing', 'busy'],
  starting: ['Starting', 'busy'],
  running: ['Running', 'good'],
  stopping: ['Stopping', 'busy'],
  stopped: ['Stopped', 'still'],
  failed: ['Failed', 'bad'],
  ended: ['Ended', 'still']
};
const ALIVE = ['preparing', 'starting', 'running'];
const COPIED_MS = 2000;

const FIELDS: (keyof IDeploymentState)[] = [
  'name',
  'model',
  'version',
  'state',
  'url',
  'requests',
  'errors',
  'latency_ms',
  'lease_until',
  'message',
  'hint'
];

export class DeploymentView {
  constructor(
    private _model: IModel<IDeploymentState>,
    el: HTMLElement
  ) {
    this._root.setAttribute('role', 'group');
    this._head.append(this._title, this._badge.node);
    this._copy.type = 'button';
    this._copy.setAttribute('aria-label', 'Copy the URL');
    this._copied.setAttribute('role', 'status');
    this._copy.addEventListener('click', () => void this._copyUrl());
    this._address.append(this._url, this._copy, ' ', this._copied);
    this._root.append(this._head, this._facts, this._message, this._hint);
    el.append(this._root);
    this._fact('Model', this._modelName);
    this._fact('URL', this._address);
    this._fact('Requests', this._requests);
    this._fact('Median latency', this._latency);
    this._fact('Runs until', this._lease);
    this._end = follow(_model, FIELDS, () => this._draw());
  }

  dispose(): void {
    this._end();
    clearTimeout(this._timer);
    this._root.remove();
  }

  private _fact(name: string, value: HTMLElement): void {
    const term = make('dt', '', name);
    this._facts.append(term, value);
    this._terms.set(value, term);
  }

  private _show(value: HTMLElement, shown: boolean): void {
    value.hidden = !shown;
    const term = this._terms.get(value);
    if (term) {
      term.hidden = !shown;
    }
  }

  private _draw(): void {
    const get = <K extends keyof IDeploymentState>(name: K) =>
      this._model.get(name);
    const name = get('name') ?? '';
    const state = get('state') ?? '';
    const [word, tone] = STATES[state] ?? [state, 'still'];
    this._root.setAttribute('aria-label', `Deployment ${name}`);
    this._root.dataset.tone = tone;
    this._title.textContent = name;
    this._badge.set(word, tone);
    this._modelName.textContent = `${get('model') ?? ''}, version ${get('version') ?? ''}`;

    const url = get('url') ?? '';
    this._url.textContent = url;
    this._show(this._address, url !== '' && ALIVE.includes(state));
    const requests = get('requests') ?? 0;
    const errors = get('errors') ?? 0;
    this._requests.textContent = `${requests.toLocaleString()}, ${errors.toLocaleString()} ${errors === 1 ? 'error' : 'errors'}`;
    this._show(this._requests, state === 'running' || requests > 0);
    const latency = get('latency_ms');
    this._latency.textContent =
      typeof latency === 'number'
        ? `${formatNumber(Number(latency.toPrecision(3)))} ms`
        : '';
    this._show(this._latency, typeof latency === 'number');
    const lease = get('lease_until') ?? 0;
    this._lease.textContent = lease
      ? new Date(lease * 1000).toLocaleString(undefined, {
          dateStyle: 'medium',
          timeStyle: 'short'
        })
      : '';
    this._show(this._lease, lease > 0 && ALIVE.includes(state));
    this._say(this._message, get('message') ?? '');
    this._say(this._hint, get('hint') ?? '');
  }

  private _say(node: HTMLElement, text: string): void {
    node.textContent = text;
    node.hidden = text === '';
  }

  private async _copyUrl(): Promise<void> {
    let said = 'Copied';
    try {
      await navigator.clipboard.writeText(this._url.textContent ?? '');
    } catch {
      // Plain HTTP has no clipboard: leave the address selected for the
      // keyboard.
      getSelection()?.selectAllChildren(this._url);
      said = 'Selected. Copy it with the keyboard.';
    }
    this._copied.textContent = said;
    clearTimeout(this._timer);
    this._timer = window.setTimeout(() => {
      this._copied.textContent = '';
    }, COPIED_MS);
  }

  private _root = make('div', 'gol-view gol-deployment');
  private _head = make('div', 'gol-view-head');
  private _title = make('span', 'gol-view-title');
  private _badge = new Badge();
  private _facts = make('dl', 'gol-deployment-facts');
  private _modelName = make('dd', '');
  private _address = make('dd', '');
  private _url = make('span', 'gol-deployment-url');
  private _copy = make('button', '', 'Copy');
  private _copied = make('span', 'gol-view-muted');
  private _requests = make('dd', '');
  private _latency = make('dd', '');
  private _lease = make('dd', '');
  private _message = make('p', 'gol-view-message');
  private _hint = make('p', 'gol-deployment-hint');
  private _terms = new Map<HTMLElement, HTMLElement>();
  private _timer = 0;
  private _end: () => void;
}
