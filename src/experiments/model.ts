import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import { DisposableDelegate } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { GenOpsEvents, LiveChannel } from '../core';
import { Resource } from '../core';
import { Throttle } from '../core/throttle';
import { MediaModel } from './media/model';
import type { MediaService } from './media/service';

import { RunCurves } from './curves';
import { RunList } from './run-list';
import type {
  ExperimentsService,
  IExperiment,
  ILatestMetrics,
  IRun,
  IRunDetail,
  IRunOutput
} from './service';

/** How often its curves are fetched, in ms. */
const REFRESH_MS = 1000;

/** Return whether a run is running. */
export function isRunning(run: IRun): boolean {
  return run.status === 'RUNNING';
}

/**
 * The state of the section: experiments, runs, the open run, and curves of some
 * runs.
 */
export class ExperimentsModel implements IDisposable {
  constructor(options: ExperimentsModel.IOptions) {
    const { service, events, trans } = options;
    this._options = options;
    this.experiments = new Resource<IExperiment[]>({
      trans,
      events,
      kinds: ['experiment'],
      fetch: signal => service.experiments(signal)
    });
    this.list = new RunList({
      events,
      trans,
      fetch: (query, token, signal) => service.runs(query, token, signal),
      fetchRun: id => service.run(id)
    });
    this.list.changed.connect(this._onRuns, this);
  }

  /** The service for media by step. */
  get mediaService(): MediaService {
    return this._options.media;
  }

  readonly experiments: Resource<IExperiment[]>;
  readonly list: RunList;

  /** Emitted when another run is opened, or none. */
  get openedChanged(): ISignal<this, string | null> {
    return this._openedChanged;
  }

  /** The id of the open run. */
  get opened(): string | null {
    return this._opened;
  }

  /** The detail of the open run. */
  get detail(): Resource<IRunDetail> | null {
    return this._detail;
  }

  /** The media of the open run. */
  get media(): MediaModel | null {
    return this._media;
  }

  get visible(): boolean {
    return this._visible;
  }
  set visible(value: boolean) {
    this._visible = value;
    const lists = value && !this._options.single;
    this.experiments.visible = lists;
    this.list.visible = lists;
    if (this._detail) {
      this._detail.visible = value;
    }
    if (this._media) {
      this._media.visible = value;
    }
    for (const { curves } of this._curves.values()) {
      curves.visible = value;
    }
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  latestMetrics(runId: string): Promise<ILatestMetrics> {
    return this._options.service.latest(runId);
  }

  /** Show the detail of a run; null closes it. */
  open(runId: string | null): void {
    if (runId === this._opened) {
      return;
    }
    this._detail?.dispose();
    this._media?.dispose();
    this._opened = runId;
    this._detail = runId === null ? null : this._detailOf(runId);
    this._media = runId === null ? null : this._mediaOf(runId);
    this._openedChanged.emit(runId);
  }

  /** Return the run with this id from the list or its detail. */
  run(runId: string): IRun | undefined {
    const detail =
      this._opened === runId ? this._detail?.value?.run : undefined;
    return this.list.snapshot.runs.find(run => run.run_id === runId) ?? detail;
  }

  /**
   * Return the printed output of a run, fetched on demand; call `dispose` at
   * the end.
   */
  outputOf(runId: string): Resource<IRunOutput> {
    const { service, events, trans } = this._options;
    const output = new Resource<IRunOutput>({
      trans,
      events,
      kinds: [],
      fetch: signal => service.output(runId, signal)
    });
    output.visible = this._visible;
    return output;
  }

  /**
   * Return the curves of a run, which all callers share; end with `release`.
   */
  holdCurves(run: IRun): { curves: RunCurves; release: IDisposable } {
    const { run_id } = run;
    const shared = this._curves.get(run_id) ?? {
      curves: this._curvesOf(run),
      holders: 0
    };
    shared.holders += 1;
    this._curves.set(run_id, shared);
    return {
      curves: shared.curves,
      release: new DisposableDelegate(() => {
        shared.holders -= 1;
        if (shared.holders === 0 && this._curves.get(run_id) === shared) {
          this._curves.delete(run_id);
          shared.curves.dispose();
        }
      })
    };
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    this.experiments.dispose();
    this.list.dispose();
    this._detail?.dispose();
    this._media?.dispose();
    this._refreshing.dispose();
    for (const { curves } of this._curves.values()) {
      curves.dispose();
    }
    this._curves.clear();
    Signal.clearData(this);
  }

  private _detailOf(runId: string): Resource<IRunDetail> {
    const { service, events, trans } = this._options;
    const detail: Resource<IRunDetail> = new Resource<IRunDetail>({
      trans,
      events,
      kinds: ['run'],
      accepts: ({ id }) => {
        if (id !== runId && id !== '') {
          return false;
        }
        if (detail.visible) {
          this._refreshing.ask();
        }
        return !detail.visible;
      },
      fetch: signal => service.run(runId, signal)
    });
    let seen: IRunDetail | undefined;
    detail.changed.connect((_, { value }) => {
      if (value && value !== seen) {
        seen = value;
        this.list.replace(value.run);
        this._onRuns();
      }
    }, this);
    detail.visible = this._visible;
    return detail;
  }

  private _mediaOf(runId: string): MediaModel {
    const { media: service, events, trans } = this._options;
    const media = new MediaModel({ service, events, trans, runIds: [runId] });
    media.visible = this._visible;
    return media;
  }

  private _curvesOf(run: IRun): RunCurves {
    const { service, live, events, trans } = this._options;
    const curves = new RunCurves({
      runId: run.run_id,
      ended: !isRunning(run),
      live,
      events,
      trans,
      fetch: (after, signal) => service.metrics(run.run_id, after, signal)
    });
    curves.visible = this._visible;
    return curves;
  }

  private _onRuns(): void {
    for (const [runId, { curves }] of this._curves) {
      const run = this.run(runId);
      if (run) {
        curves.ended = !isRunning(run);
      }
    }
  }

  private _options: ExperimentsModel.IOptions;
  private _visible = false;
  private _opened: string | null = null;
  private _detail: Resource<IRunDetail> | null = null;
  private _media: MediaModel | null = null;
  private _refreshing = new Throttle(
    () => void this._detail?.refresh(),
    REFRESH_MS
  );
  private _curves = new Map<string, { curves: RunCurves; holders: number }>();
  private _openedChanged = new Signal<this, string | null>(this);
  private _isDisposed = false;
}

export namespace ExperimentsModel {
  export interface IOptions {
    service: ExperimentsService;
    media: MediaService;
    live: LiveChannel;
    events: GenOpsEvents;
    trans: TranslationBundle;
    /** Show only opened runs: no list is fetched. */
    single?: boolean;
  }
}
