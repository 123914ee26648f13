import type { Contents } from '@jupyterlab/services';
import type { IStateDB } from '@jupyterlab/statedb';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { components } from '../../api/generated';
import { ApiError } from '../../core/errors';
import { PagedResource } from '../../core/paging';
import type { IGenOpsCore } from '../../core/tokens';
import type { ITaskNotifier } from '../../tasks/tokens';

import { AlignmentsModel } from './alignments-model';
import { FailuresModel } from './failures-model';

type Schemas = components['schemas'];
export type ILabelQueue = Schemas['LabelQueue'];
export type ILabelItems = Schemas['LabelItems'];
export type ILabelItem = Schemas['LabelItem'];
export type ILabelContent = Schemas['LabelContent'];
export type ILabelReport = Schemas['LabelReport'];
export type IEvaluation = Schemas['AnswerEvaluation'];
export type INewLabelQueue = Schemas['NewLabelQueue'];

const RATER = 'genops-lab:rater';

/** Review queues, and the answers of the open one in the order of a rater. */
export class LabelsModel implements IDisposable {
  constructor(
    private _core: Pick<IGenOpsCore, 'api' | 'events' | 'trans'>,
    private _contents: Contents.IManager,
    private _state: IStateDB | null,
    private _notifier: ITaskNotifier | null = null
  ) {
    const { api, events, trans } = _core;
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
    events
      .changed('answer-evaluation')
      .connect((_, { id }) => this._onEvaluation(id), this);
    events.resync.connect(() => this._read(), this);
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
    if (this._failures) {
      this._failures.modes.visible = value;
    }
    if (this._alignments) {
      this._alignments.visible = value;
    }
  }

  get isDisposed(): boolean {
    return this.queues.isDisposed;
  }

  dispose(): void {
    this.queues.dispose();
    this._failures?.dispose();
    this._alignments?.dispose();
    Signal.clearData(this);
  }

  /** The open queue and its answers; undefined: the list is shown. */
  get open(): ILabelItems | undefined {
    return this._open;
  }

  /** The failure modes of the open queue; undefined: its answers are shown. */
  get failures(): FailuresModel | undefined {
    return this._failures;
  }

  /** The alignments of the judges; undefined: they are not shown. */
  get alignments(): AlignmentsModel | undefined {
    return this._alignments;
  }

  /** Who labels; empty: the user of this JupyterLab. */
  get rater(): string {
    return this._rater;
  }

  /** The answer to label now; undefined: all are labelled. */
  get current(): string | undefined {
    return this._again ?? this._pending[0];
  }

  /** The answers that the rater labelled, in the order of the queue, the latest labels of this visit last. */
  get mine(): readonly ILabelItem[] {
    const items = this._open?.items ?? [];
    const pending = new Set(this._pending);
    const late = new Set(this._done);
    const found = items.filter(
      ({ trace_id }) => !pending.has(trace_id) && !late.has(trace_id)
    );
    return [
      ...found,
      ...this._done.flatMap(
        trace => items.find(({ trace_id }) => trace_id === trace) ?? []
      )
    ].map(item => this._kept.get(item.trace_id) ?? item);
  }

  /** The rater's label of the current answer, where it is shown again. */
  get former(): ILabelItem | undefined {
    const { _again } = this;
    return _again
      ? this.mine.find(({ trace_id }) => trace_id === _again)
      : undefined;
  }

  get content(): ILabelContent | undefined {
    const { current } = this;
    return current ? this._texts.get(current) : undefined;
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
    const before = this._error;
    await this._saving;
    const failed = this._error === before ? undefined : this._error;
    try {
      this._open = await this._api.data(
        this._api.http.GET('/label-queues/{id}/items', {
          params: { path: { id }, query: { rater: this._rater } }
        })
      );
      this._error = failed;
    } catch (reason) {
      this._fail(reason);
      return;
    }
    const { items } = this._open;
    this._pending = items
      .filter(({ label, outdated }) => !label || outdated)
      .map(({ trace_id }) => trace_id);
    this._before = new Map(items.map(item => [item.trace_id, item]));
    this._texts.clear();
    this._kept.clear();
    this._again = undefined;
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
    this.hideFailures();
    this.hideAlignments();
    this._open = undefined;
    this._error = undefined;
    this._emit();
    void this.queues.refresh();
  }

  /** Show the failure modes of the open queue, once all notes are kept. */
  async showFailures(): Promise<void> {
    const open = this._open;
    await this._saving;
    if (open && this._open === open && !this._failures) {
      this._failures = new FailuresModel(
        this._core,
        this._contents,
        open.queue
      );
      this._failures.modes.visible = this.visible;
      this._emit();
    }
  }

  hideFailures(): void {
    this._failures?.dispose();
    this._failures = undefined;
    this._emit();
  }

  /** Show the alignments of the judges of the open queue's evaluation. */
  showAlignments(): void {
    if (this._report && !this._alignments) {
      this._alignments = new AlignmentsModel(
        this._core,
        this._contents,
        this._report,
        this._notifier
      );
      this._alignments.visible = this.visible;
      this._emit();
    }
  }

  hideAlignments(): void {
    this._alignments?.dispose();
    this._alignments = undefined;
    this._emit();
  }

  /** Show an answer again that the rater labelled: another label takes the place of the first. */
  revisit(trace: string): void {
    this._again = trace;
    const { former } = this;
    this._note = this._isText ? (former?.label ?? '') : (former?.note ?? '');
    this._error = undefined;
    this._emit();
    this._read();
  }

  /** Show the answer that was labelled before the current one. */
  previous(): void {
    const { mine, _again } = this;
    const at = _again
      ? mine.findIndex(({ trace_id }) => trace_id === _again)
      : mine.length;
    if (at > 0) {
      this.revisit(mine[at - 1].trace_id);
    }
  }

  /** Label the current answer once it is shown, and go on with the next one while the label is kept. */
  label(label: string): void {
    if (!this.content) {
      return;
    }
    const trace = this._again ?? this._pending.shift();
    if (!trace || !this._open) {
      return;
    }
    const note = this._isText ? '' : this._note.trim();
    if (this._again) {
      // What undo brings back is the label of before.
      const { former } = this;
      if (former) {
        this._before.set(trace, former);
      }
      this._again = undefined;
      this._done = this._done.filter(each => each !== trace);
      this._report = undefined;
    }
    this._done.push(trace);
    const item = this._before.get(trace);
    this._kept.set(trace, {
      trace_id: trace,
      random: item?.random ?? false,
      label,
      note,
      outdated: false
    });
    this._error = undefined;
    this._next();
    const { id } = this._open.queue;
    void this._save(trace, () =>
      this._api.data(
        this._api.http.PUT('/label-queues/{id}/items/{trace}', {
          params: { path: { id, trace } },
          body: { label, note, rater: this._rater }
        })
      )
    );
  }

  /** Put the current answer at the end; one that is shown again keeps its label. */
  skip(): void {
    if (this._again) {
      this._again = undefined;
      this._next();
      return;
    }
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
    const former = this._before.get(trace);
    const kept = this._kept.get(trace) ?? former;
    this._again = undefined;
    this._report = undefined;
    const { id } = this._open.queue;
    const rater = this._rater;
    const params = { path: { id, trace } };
    const { http } = this._api;
    if (former?.label && !former.outdated) {
      const { label, note } = former;
      this._kept.set(trace, former);
      this._again = trace;
      void this._save(trace, () =>
        this._api.data(
          http.PUT('/label-queues/{id}/items/{trace}', {
            params,
            body: { label, note: note ?? '', rater }
          })
        )
      );
    } else {
      this._kept.delete(trace);
      this._pending.unshift(trace);
      void this._save(trace, () =>
        this._api.data(
          http.DELETE('/label-queues/{id}/items/{trace}', {
            params: { ...params, query: { rater } }
          })
        )
      );
    }
    this._note = (this._isText ? kept?.label : kept?.note) ?? '';
    this._emit();
    this._read();
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
        this._updating = this._updating && report.is_newer === true;
        this._emit();
      }
    } catch (reason) {
      this._fail(reason);
    }
  }

  /** Whether the report of the evaluation is being made with the labels of now. */
  get updating(): boolean {
    return this._updating;
  }

  /** Make the report of the evaluation again, with the labels of now. */
  async updateEvaluation(): Promise<void> {
    const id = this._report?.queue.evaluation;
    if (!id) {
      return;
    }
    this._updating = true;
    this._emit();
    try {
      await this._api.data(
        this._api.http.POST('/answer-evaluations/{id}/scores', {
          params: { path: { id } },
          body: { text: '', name: '' }
        })
      );
    } catch (reason) {
      this._updating = false;
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
  async evaluations(): Promise<IEvaluation[]> {
    const { items } = await this._api.data(
      this._api.http.GET('/answer-evaluations', { params: { query: {} } })
    );
    return items;
  }

  /** One request after the other: an undo never overtakes its label. */
  private _save(trace: string, work: () => Promise<unknown>): Promise<void> {
    this._unsaved += 1;
    const open = this._open;
    this._saving = this._saving.then(async () => {
      try {
        await work();
      } catch (reason) {
        const error = ApiError.from(reason, this.trans);
        if (this._open === open) {
          this._lost(trace, error);
        } else {
          const { trans } = this;
          this._error = new ApiError({
            ...error,
            message: trans.__(
              'A label of “%1” was not saved: %2',
              open?.queue.name ?? '',
              error.message
            ),
            hint: trans.__('Open the queue: the answer comes again.')
          });
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
    this._kept.delete(trace);
    if (this._again === trace) {
      this._again = undefined;
    }
    if (error.code === 'answer_deleted') {
      this._pending = this._pending.filter(each => each !== trace);
    } else if (!this._pending.includes(trace)) {
      this._pending.unshift(trace);
    }
    this._report = undefined;
    this._read();
  }

  /** An answer could not be read: its label stays. It is read again with the next key, and after a reconnection. */
  private _unread(trace: string, error: ApiError): void {
    if (error.code === 'answer_deleted') {
      this._lost(trace, error);
    } else {
      this._error = this._unreadError = error;
    }
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
    const next = this._pending.slice(0, 3);
    for (const trace of this._again ? [this._again, ...next] : next) {
      if (!open || this._texts.has(trace) || this._reading.has(trace)) {
        continue;
      }
      this._reading.add(trace);
      this._api
        .data(
          this._api.http.GET('/label-queues/{id}/items/{trace}', {
            params: {
              path: { id: open.queue.id, trace },
              query: { rater: this._rater }
            }
          })
        )
        .then(content => {
          this._texts.set(trace, content);
          if (this._error === this._unreadError) {
            this._error = undefined;
          }
        })
        .catch((reason: unknown) => {
          this._unread(trace, ApiError.from(reason, this.trans));
        })
        .finally(() => {
          this._reading.delete(trace);
          this._emit();
        });
    }
  }

  private get _isText(): boolean {
    return !this._open?.queue.question?.choices?.length;
  }

  private _onEvaluation(id: string): void {
    if (this._report?.queue.evaluation === id) {
      void this.showReport();
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
  private _failures?: FailuresModel;
  private _alignments?: AlignmentsModel;
  private _pending: string[] = [];
  /** The labelled answer that is shown again. */
  private _again?: string;
  private _done: string[] = [];
  /** Labels that undo brings back, and those that were kept since the queue was opened. */
  private _before = new Map<string, ILabelItem>();
  private _kept = new Map<string, ILabelItem>();
  private _texts = new Map<string, ILabelContent>();
  private _reading = new Set<string>();
  private _saving: Promise<void> = Promise.resolve();
  private _unsaved = 0;
  private _note = '';
  private _error?: ApiError;
  private _unreadError?: ApiError;
  private _report?: ILabelReport;
  private _updating = false;
  private _changed = new Signal<this, void>(this);
}
