import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { GenOpsEvents, LiveChannel } from '../core';
import { Resource } from '../core';
import { Throttle } from '../core/throttle';

import type { ILivePoints } from './series';
import { mergeSeries, missingAfter, seriesOf } from './series';
import type { IRunMetrics, ISeries } from './service';

const DRAW_MS = 100;
const FETCH_MS = 1000;
/**
 * Above this a history is fetched again as a whole, because the server thins
 * it.
 */
const MOST_POINTS = 8000;

/** The histories of a run that views draw. */
export interface ICurves {
  readonly series: readonly ISeries[];
  readonly system: readonly ISeries[];
}

/**
 * The curves of one run: one request for its history, then points of the live
 * topic `run:<id>`. Points that came another way are requested when they are
 * missing.
 */
export class RunCurves implements IDisposable {
  constructor(options: RunCurves.IOptions) {
    const { runId, live, events, trans } = options;
    this._options = options;
    this._ended = options.ended;
    this._fetching = new Throttle(() => void this.resource.refresh(), FETCH_MS);
    this._drawing = new Throttle(() => this._publish(), DRAW_MS);
    this.resource = new Resource<IRunMetrics>({
      trans,
      events,
      kinds: ['run'],
      fetch: signal => this._fetch(signal),
      accepts: change => {
        if (change.id !== runId && (change.id !== '' || this._ended)) {
          return false;
        }
        if (this.resource.visible) {
          this._fetching.ask();
          return false;
        }
        return true;
      }
    });
    this._live = live;
  }

  /** The state of the fetch, and the last answer. */
  readonly resource: Resource<IRunMetrics>;

  get changed(): ISignal<this, ICurves> {
    return this._changed;
  }

  get curves(): ICurves {
    return this._curves;
  }

  /** Whether the curves have been fetched once. */
  get isLoaded(): boolean {
    return this._isLoaded;
  }

  get visible(): boolean {
    return this.resource.visible;
  }
  set visible(value: boolean) {
    this.resource.visible = value && !this._isDisposed;
    this._listen();
  }

  /** Whether the run has ended; its last points are fetched then. */
  get ended(): boolean {
    return this._ended;
  }
  set ended(value: boolean) {
    if (value === this._ended) {
      return;
    }
    this._ended = value;
    this._whole = true;
    this._listen();
    if (this.visible) {
      this._fetching.ask();
    }
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    this._subscription?.dispose();
    this._fetching.dispose();
    this._drawing.dispose();
    this.resource.dispose();
    Signal.clearData(this);
  }

  private _listen(): void {
    const wanted = this.resource.visible && !this._ended;
    if (wanted && !this._subscription) {
      this._subscription = this._live.subscribe<ILivePoints>(
        `run:${this._options.runId}`,
        ({ points }) => this._merge(seriesOf(points))
      );
    } else if (!wanted) {
      this._subscription?.dispose();
      this._subscription = null;
    }
  }

  private async _fetch(signal: AbortSignal): Promise<IRunMetrics> {
    const whole = this._whole;
    this._whole = false;
    try {
      const answer = await this._options.fetch(
        whole ? -1 : missingAfter(this._curves.series),
        signal
      );
      if (whole) {
        this._known.clear();
      }
      this._isLoaded = true;
      this._merge([...answer.series, ...answer.system]);
      return answer;
    } catch (reason) {
      this._whole ||= whole;
      throw reason;
    }
  }

  private _merge(all: readonly ISeries[]): void {
    for (const one of all) {
      const merged = mergeSeries(this._known.get(one.key), one);
      this._known.set(one.key, merged);
      this._whole ||= merged.steps.length > MOST_POINTS;
    }
    this._drawing.ask();
  }

  private _publish(): void {
    const all = [...this._known.values()];
    const isSystem = ({ key }: ISeries) => key.startsWith('system/');
    this._curves = {
      series: all.filter(one => !isSystem(one)),
      system: all.filter(isSystem)
    };
    this._changed.emit(this._curves);
  }

  private _options: RunCurves.IOptions;
  private _live: LiveChannel;
  private _subscription: IDisposable | null = null;
  private _fetching: Throttle;
  private _drawing: Throttle;
  private _known = new Map<string, ISeries>();
  private _curves: ICurves = { series: [], system: [] };
  private _changed = new Signal<this, ICurves>(this);
  private _isLoaded = false;
  private _ended: boolean;
  /** Whether the next request asks for all points. */
  private _whole = true;
  private _isDisposed = false;
}

export namespace RunCurves {
  export interface IOptions {
    runId: string;
    ended: boolean;
    live: LiveChannel;
    events: GenOpsEvents;
    trans: TranslationBundle;
    fetch: (after_step: number, signal: AbortSignal) => Promise<IRunMetrics>;
  }
}
