import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import { Signal } from '@lumino/signaling';

import type { GenOpsEvents, IChanged } from '../../core';
import { ApiError } from '../../core';

import { NoAnswer, PerfettoFrame } from './frame';
import type { ICutQuery, ITraceCut, PerfettoService } from './service';

/** The server's error code while the trace is on a target. */
const ELSEWHERE = 'trace_elsewhere';

/** The Perfetto view of one profile: the requested period, and the progress. */
export class PerfettoModel implements IDisposable {
  constructor(private _options: PerfettoModel.IOptions) {
    this.asked = _options.asked;
    _options.events.changed('profile').connect(this._onProfile, this);
    _options.events.resync.connect(this._onResync, this);
  }

  asked: ICutQuery;
  /** The page of the UI; empty before it is known. */
  page = '';
  cut: ITraceCut | null = null;
  busy = true;
  error: ApiError | null = null;

  get changed(): Signal<this, void> {
    return this._changed;
  }

  /** Show another period, or another slice. */
  show(asked: ICutQuery): void {
    this.asked = asked;
    void this.load();
  }

  /**
   * The frame has loaded the page, for the first time, or again after it was
   * moved in the Lab.
   */
  enter(frame: HTMLIFrameElement): void {
    this._frame?.dispose();
    this._frame = new PerfettoFrame(frame);
    this._handed = '';
    void this.load();
  }

  async load(): Promise<void> {
    this._asking?.abort();
    const { signal } = (this._asking = new AbortController());
    this.busy = true;
    this.error = null;
    this._changed.emit();
    try {
      await this._load(signal);
    } catch (reason) {
      if (!signal.aborted) {
        this.error = this._errorOf(reason);
      }
    }
    if (!signal.aborted) {
      this.busy = false;
      this._changed.emit();
    }
  }

  /** Whether the trace must be fetched from its target first. */
  get isElsewhere(): boolean {
    return this.error?.code === ELSEWHERE;
  }

  get isDisposed(): boolean {
    return this._ended;
  }

  dispose(): void {
    this._ended = true;
    this._asking?.abort();
    this._frame?.dispose();
    Signal.clearData(this);
  }

  private async _load(signal: AbortSignal): Promise<void> {
    const { service, profileId } = this._options;
    if (!this.page) {
      // The frame is drawn with it, and then loads the page.
      this.page = await service.page(signal);
      return;
    }
    const frame = this._frame;
    const cut = await service.cut(profileId, this.asked, signal);
    const same = cut.path === this._handed;
    const trace = same ? null : await service.bytes(cut, signal);
    if (!signal.aborted && frame && !frame.isDisposed) {
      this.cut = cut;
      this._changed.emit();
      if (trace) {
        // Send the trace again: the running request is for another period.
        this._handed = '';
      }
      await frame.show(cut, trace);
      this._handed = cut.path;
    }
  }

  private _onProfile(_: unknown, { id }: IChanged): void {
    if (this.isElsewhere && id === this._options.profileId) {
      void this.load();
    }
  }

  /** Changes during the lost connection were missed. */
  private _onResync(): void {
    if (this.isElsewhere) {
      void this.load();
    }
  }

  private _errorOf(reason: unknown): ApiError {
    const { trans } = this._options;
    this._handed = '';
    return reason instanceof NoAnswer
      ? new ApiError({
          status: 0,
          code: 'no_answer',
          message: trans.__('The Perfetto UI did not answer.'),
          hint: trans.__(
            "The Perfetto UI needs WebAssembly and workers. The browser's console may show the cause."
          )
        })
      : ApiError.from(reason, trans);
  }

  private _frame: PerfettoFrame | null = null;
  private _handed = '';
  private _asking: AbortController | null = null;
  private _ended = false;
  private _changed = new Signal<this, void>(this);
}

export namespace PerfettoModel {
  export interface IOptions {
    profileId: string;
    asked: ICutQuery;
    service: PerfettoService;
    events: GenOpsEvents;
    trans: TranslationBundle;
  }
}
