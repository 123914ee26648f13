import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import { Signal } from '@lumino/signaling';

import type { GenOpsEvents } from '../../core';
import { Resource } from '../../core';
import { MediaModel } from '../media/model';
import type { MediaService } from '../media/service';

import type { ComparisonService, IRunComparison } from './service';

/** Some runs side by side, and their baseline. */
export class ComparisonModel implements IDisposable {
  constructor(private _options: ComparisonModel.IOptions) {
    const { media, events, trans, runIds } = _options;
    this.media = new MediaModel({ service: media, events, trans, runIds });
    this._baseline = _options.baseline || _options.runIds[0];
    this.resource = new Resource<IRunComparison>({
      trans: _options.trans,
      events: _options.events,
      kinds: ['run'],
      // A change that names no run may concern any run: too many to compare
      // again each time.
      accepts: ({ id }) => this.runIds.includes(id),
      fetch: signal =>
        _options.service.compare(
          {
            run_ids: [...this.runIds],
            baseline: this._baseline,
            repeats: this._grouped ? null : []
          },
          signal
        )
    });
  }

  readonly resource: Resource<IRunComparison>;
  /** Pictures, histograms and tables of the runs, by step. */
  readonly media: MediaModel;
  /** Emitted when the runs, the baseline or the grouping changes. */
  readonly changed = new Signal<this, void>(this);

  get runIds(): readonly string[] {
    return this._options.runIds;
  }

  /** The run with which the others are compared. */
  get baseline(): string {
    return this._baseline;
  }
  set baseline(runId: string) {
    if (runId !== this._baseline) {
      this._baseline = runId;
      this._ask();
    }
  }

  /** Whether repeats share a column. */
  get grouped(): boolean {
    return this._grouped;
  }
  set grouped(value: boolean) {
    if (value !== this._grouped) {
      this._grouped = value;
      this._ask();
    }
  }

  set visible(value: boolean) {
    this.resource.visible = value;
    this.media.visible = value;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (!this._isDisposed) {
      this._isDisposed = true;
      this.resource.dispose();
      this.media.dispose();
      Signal.clearData(this);
    }
  }

  private _ask(): void {
    this.changed.emit();
    void this.resource.refresh();
  }

  private _baseline: string;
  private _grouped = true;
  private _isDisposed = false;
}

export namespace ComparisonModel {
  export interface IOptions {
    service: Pick<ComparisonService, 'compare'>;
    media: Pick<MediaService, 'media' | 'histograms'>;
    events?: GenOpsEvents;
    trans: TranslationBundle;
    runIds: readonly string[];
    baseline?: string;
  }
}
