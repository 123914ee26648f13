import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import { Signal } from '@lumino/signaling';

import type { GenOpsEvents } from '../../core';
import { Resource } from '../../core';
import { Throttle } from '../../core/throttle';

import type { IHistograms, IRunMedia, MediaService } from './service';
import type { IMediaRow } from './steps';
import { entrySteps, mediaRows } from './steps';

const REFRESH_MS = 1000;
/** Runs that are shown side by side. */
export const MOST_RUNS = 12;

/**
 * The media of some runs by step, and the step that is shown of all of them.
 */
export class MediaModel implements IDisposable {
  constructor(private _options: MediaModel.IOptions) {
    const { service, events, trans } = _options;
    this.runIds = _options.runIds.slice(0, MOST_RUNS);
    this.resource = new Resource<IRunMedia[]>({
      trans,
      events,
      kinds: ['run'],
      accepts: ({ id }) => {
        if (
          !this.runIds.includes(id) &&
          (id !== '' || this.runIds.length > 1)
        ) {
          return false;
        }
        if (this.resource.visible) {
          this._refreshing.ask();
        }
        return !this.resource.visible;
      },
      isEmpty: runs => runs.every(({ series }) => series.length === 0),
      fetch: signal =>
        Promise.all(this.runIds.map(runId => service.media(runId, signal)))
    });
    this.resource.changed.connect((_, { value }) => {
      if (value && value !== this._seen) {
        this._seen = value;
        this._rows = mediaRows(value);
        this._gather();
      }
    }, this);
  }

  readonly runIds: readonly string[];
  readonly resource: Resource<IRunMedia[]>;
  /** Emitted when the steps change, or another step is shown. */
  readonly changed = new Signal<this, void>(this);

  get rows(): readonly IMediaRow[] {
    return this._rows;
  }

  /** All steps that have media. */
  get steps(): readonly number[] {
    return this._steps;
  }

  /** The step that is shown: the latest, until the user chooses another. */
  get step(): number {
    return this._step ?? this._steps[this._steps.length - 1] ?? 0;
  }
  set step(value: number) {
    // The last step means the latest one, also when newer steps come.
    const isLast = value === this._steps[this._steps.length - 1];
    this._step = isLast ? null : value;
    this.changed.emit();
  }

  get visible(): boolean {
    return this.resource.visible;
  }
  set visible(value: boolean) {
    this.resource.visible = value && !this._isDisposed;
  }

  /**
   * Return the histograms of a name; their steps can be chosen from then on.
   */
  async histograms(
    runId: string,
    name: string,
    signal: AbortSignal
  ): Promise<IHistograms> {
    const found = await this._options.service.histograms(runId, name, signal);
    this._ofHistograms.set(
      `${runId} ${name}`,
      found.rows.map(({ step }) => step)
    );
    this._gather();
    return found;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    this._refreshing.dispose();
    this.resource.dispose();
    Signal.clearData(this);
  }

  private _gather(): void {
    const steps = new Set(entrySteps(this._rows));
    for (const some of this._ofHistograms.values()) {
      some.forEach(step => steps.add(step));
    }
    this._steps = [...steps].sort((a, b) => a - b);
    this.changed.emit();
  }

  private _seen: IRunMedia[] | undefined;
  private _rows: readonly IMediaRow[] = [];
  private _steps: readonly number[] = [];
  private _step: number | null = null;
  private _ofHistograms = new Map<string, readonly number[]>();
  private _refreshing = new Throttle(
    () => void this.resource.refresh(),
    REFRESH_MS
  );
  private _isDisposed = false;
}

export namespace MediaModel {
  export interface IOptions {
    service: Pick<MediaService, 'media' | 'histograms'>;
    events?: GenOpsEvents;
    trans: TranslationBundle;
    /** At most 12 of them are shown. */
    runIds: readonly string[];
  }
}
