import type { IStateDB } from '@jupyterlab/statedb';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { components } from '../../api/generated';
import { ApiError } from '../../core/errors';
import { PagedResource } from '../../core/paging';
import type { IGenOpsCore } from '../../core/tokens';

type Schemas = components['schemas'];
export type ILabelQueue = Schemas['LabelQueue'];
export type ILabelItems = Schemas['LabelItems'];
export type ILabelItem = Schemas['LabelItem'];
export type ILabelContent = Schemas['LabelContent'];
export type ILabelReport = Schemas['LabelReport'];
export type INewLabelQueue = Schemas['NewLabelQueue'];

const RATER = 'genops-lab:rater';

/** Review queues, and the answers of the open one in the order of a rater. */
export class LabelsModel implements IDisposable {
  constructor(
    core: Pick<IGenOpsCore, 'api' | 'events' | 'trans'>,
    private _state: IStateDB | null
  ) {
    const { api, events, trans } = core;
    this._api = api;
    this.trans = trans;
    this.queues = new PagedResource<ILabelQueue>({
      fetch: (query, signal) =>
        api.data(api.http.GET('/label-queues', { params: { query }, signal })),
      key: ({ id }) => id,
      events,
      kinds: ['label'],
      trans
    });
    this.queues.changed.connect(this._emit, this);
  }

  readonly queues: PagedResource<ILabelQueue>;
  readonly trans: TranslationBundle;

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get visible(): boolean {
    return this.queues.visible;
  }
  set visible(value: boolean) {
    this.queues.visible = value;
  }

  get isDisposed(): boolean {
    return this.queues.isDisposed;
  }

  dispose(): void {
    this.queues.dispose();
    Signal.clearData(this);
  }

  /** The open queue and its answers; undefined: the list is shown. */
  get open(): ILabelItems | undefined {
    return this._open;
  }

  /** Who labels; empty: the user of this JupyterLab. */
  get rater(): string {
    return this._rater;
  }

  /** The answer to label now; undefined: all are labelled. */
  get current(): string | undefined {
    return this._pending[0];
  }

  get content(): ILabelContent | undefined {
    const { current } = this;
    return current ? this._contents.get(current) : undefined;
  }

  get labelled(): number {
    return (this._open?.items.length ?? 0) - this._pending.length;
  }

  get unsaved(): number {
    return this._unsaved;
  }

  get canUndo(): boolean {
    return this._done.length > 0;
  }

  /** A failure that the person must know of. */
  get error(): ApiError | undefined {
    return this._error;
  }

  /** The note of the current answer, kept with its label. */
  get note(): string {
    return this._note;
  }
  set note(value: string) {
    this._note = value;
    this._emit();
  }

  get report(): ILabelReport | undefined {
    return this._report;
  }

  async choose(id: string, rater?: string): Promise<void> {
    if (rater === undefined) {
      const kept = await this._state?.fetch(RATER);
      this._rater = typeof kept === 'string' ? kept : '';
    } else {
      this._rater = rater;
      await this._state?.save(RATER, rater);
    }
    // Labels that are on their way belong to the rater and the queue of before.
    await this._saving;
    try {
      this._open = await this._api.data(
        this._api.http.GET('/label-queues/{id}/items', {
          params: { path: { id }, query: { rater: this._rater } }
        })
      );
      this._error = undefined;
    } catch (reason) {
      this._fail(reason);
      return;
    }
    const { items } = this._open;
    this._pending = items
      .filter(({ label, outdated }) => !label || outdated)
      .map(({ trace_id }) => trace_id);
    this._before = new Map(items.map(item => [item.trace_id, item]));
    this._contents.clear();
    this._done = [];
    this._report = undefined;
    this._note = '';
    this._emit();
    this._read();
    if (!this._pending.length) {
      await this.showReport();
    }
  }

  /** Show the list of queues again. */
  leave(): void {
    this._open = undefined;
    this._error = undefined;
    this._emit();
    void this.queues.refresh();
  }

  /** Label the current answer, and go on with the next one while the label is kept. */
  label(label: string): void {
    const trace = this._pending.shift();
    if (!trace || !this._open) {
      return;
    }
    const note = this._note.trim();
    this._done.push(trace);
    this._error = undefined;
    this._next();
    const { id } = this._open.queue;
    void this._save(trace, async () => {
      const item = await this._api.data(
        this._api.http.PUT('/label-queues/{id}/items/{trace}', {
          params: { path: { id, trace } },
          body: { label, note, rater: this._rater }
        })
      );
      this._kept.set(trace, item);
    });
  }

  /** Put the current answer at the end. */
  skip(): void {
    const trace = this._pending.shift();
    if (trace) {
      this._pending.push(trace);
      this._next();
    }
  }

  /** Take the last label back, or bring back the one that it replaced, and show its answer again. */
  undo(): void {
    const trace = this._done.pop();
    if (!trace || !this._open) {
      return;
    }
    this._pending.unshift(trace);
    this._report = undefined;
    const former = this._before.get(trace);
    this._note = this._kept.get(trace)?.note ?? former?.note ?? '';
    this._emit();
    this._read();
    const { id } = this._open.queue;
    const rater = this._rater;
    const params = { path: { id, trace } };
    const { http } = this._api;
    void this._save(trace, async () => {
      if (former?.label && !former.outdated) {
        const { label, note } = former;
        const body = { label, note: note ?? '', rater };
        await this._api.data(
          http.PUT('/label-queues/{id}/items/{trace}', { params, body })
        );
      } else {
        await this._api.data(
          http.DELETE('/label-queues/{id}/items/{trace}', {
            params: { ...params, query: { rater } }
          })
        );
      }
    });
  }

  async showReport(): Promise<void> {
    const open = this._open;
    if (!open) {
      return;
    }
    await this._saving;
    try {
      const report = await this._api.data(
        this._api.http.GET('/label-queues/{id}', {
          params: { path: { id: open.queue.id } }
        })
      );
      if (this._open === open) {
        this._report = report;
        this._emit();
      }
    } catch (reason) {
      this._fail(reason);
    }
  }

  async addDisagreements(): Promise<void> {
    const open = this._open;
    if (!open) {
      return;
    }
    try {
      await this._api.data(
        this._api.http.POST('/label-queues/{id}/disagreements', {
          params: { path: { id: open.queue.id } },
          body: { rows: 20 }
        })
      );
      await this.choose(open.queue.id, this._rater);
    } catch (reason) {
      this._fail(reason);
    }
  }

  begin(body: INewLabelQueue): Promise<ILabelQueue> {
    return this._api.data(this._api.http.POST('/label-queues', { body }));
  }

  /** The evaluations whose answers can be labelled. */
  async evaluations(): Promise<string[]> {
    const { items } = await this._api.data(
      this._api.http.GET('/answer-evaluations', { params: { query: {} } })
    );
    return items.map(({ id }) => id);
  }

  /** One request after the other: an undo never overtakes its label. */
  private _save(trace: string, work: () => Promise<unknown>): Promise<void> {
    this._unsaved += 1;
    const open = this._open;
    this._saving = this._saving.then(async () => {
      try {
        await work();
      } catch (reason) {
        if (this._open === open) {
          this._lost(trace, ApiError.from(reason, this.trans));
        }
      }
      this._unsaved -= 1;
      this._emit();
    });
    this._emit();
    return this._saving;
  }

  /** A label was not kept: its answer comes again, unless it was deleted. */
  private _lost(trace: string, error: ApiError): void {
    this._error = error;
    this._done = this._done.filter(each => each !== trace);
    if (error.code === 'answer_deleted') {
      this._pending = this._pending.filter(each => each !== trace);
    } else if (!this._pending.includes(trace)) {
      this._pending.unshift(trace);
    }
    this._report = undefined;
    this._read();
  }

  private _next(): void {
    this._note = '';
    this._emit();
    this._read();
    if (!this._pending.length) {
      void this.showReport();
    }
  }

  /** Read the current answer and the next two, so that a key never waits. */
  private _read(): void {
    const open = this._open;
    for (const trace of this._pending.slice(0, 3)) {
      if (!open || this._contents.has(trace) || this._reading.has(trace)) {
        continue;
      }
      this._reading.add(trace);
      this._api
        .data(
          this._api.http.GET('/label-queues/{id}/items/{trace}', {
            params: { path: { id: open.queue.id, trace } }
          })
        )
        .then(content => {
          this._contents.set(trace, content);
        })
        .catch((reason: unknown) => {
          this._lost(trace, ApiError.from(reason, this.trans));
        })
        .finally(() => {
          this._reading.delete(trace);
          this._emit();
        });
    }
  }

  private _fail(reason: unknown): void {
    this._error = ApiError.from(reason, this.trans);
    this._emit();
  }

  private _emit(): void {
    this._changed.emit();
  }

  private _api: IGenOpsCore['api'];
  private _open?: ILabelItems;
  private _rater = '';
  private _pending: string[] = [];
  private _done: string[] = [];
  /** Labels when the queue was opened, and those that were kept since. */
  private _before = new Map<string, ILabelItem>();
  private _kept = new Map<string, ILabelItem>();
  private _contents = new Map<string, ILabelContent>();
  private _reading = new Set<string>();
  private _saving: Promise<void> = Promise.resolve();
  private _unsaved = 0;
  private _note = '';
  private _error?: ApiError;
  private _report?: ILabelReport;
  private _changed = new Signal<this, void>(this);
}
