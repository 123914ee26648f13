import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { components } from '../../api/generated';
import type { IGenOpsCore } from '../../core';
import { ApiError, Resource } from '../../core';

export type IRecording = components['schemas']['Recording'];

/** How often a recording that is not full is looked at while it is seen. */
const LOOK_MS = 2000;

/** The requests of callers that the gateway records for load tests; their number, not their content. */
export class RecordingModel {
  constructor(
    private _core: Pick<IGenOpsCore, 'api' | 'trans' | 'events'>,
    readonly name: string
  ) {
    const { api, trans } = _core;
    this._params = { path: { name } };
    this.shown = new Resource<IRecording | null>({
      fetch: signal =>
        api
          .data(
            api.http.GET('/deployments/{name}/recording', {
              params: this._params,
              signal
            })
          )
          .catch((reason: unknown) => {
            if (ApiError.from(reason, trans).code === 'not_found') {
              return null;
            }
            throw reason;
          }),
      events: _core.events,
      isEmpty: () => false,
      trans
    });
    this.shown.changed.connect((_, { value, busy }) => {
      if (value && !value.full && !busy && this.shown.visible) {
        window.clearTimeout(this._timer);
        this._timer = window.setTimeout(
          () => void this.shown.refresh(),
          LOOK_MS
        );
      }
    });
  }

  /** Null where nothing is recorded. */
  readonly shown: Resource<IRecording | null>;

  set visible(visible: boolean) {
    this.shown.visible = visible;
    if (visible) {
      void this.shown.refresh(); // others begin and end it too
    } else {
      window.clearTimeout(this._timer);
    }
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Why the last start or end failed. */
  get error(): ApiError | undefined {
    return this._error;
  }

  /** Record the next requests, in place of an earlier recording. */
  start(requests: number): Promise<void> {
    const { http } = this._core.api;
    return this._attempt(() =>
      http.POST('/deployments/{name}/recording', {
        params: this._params,
        body: { requests }
      })
    );
  }

  /** End the recording, and forget what it has. */
  forget(): Promise<void> {
    const { http } = this._core.api;
    return this._attempt(() =>
      http.DELETE('/deployments/{name}/recording', { params: this._params })
    );
  }

  dispose(): void {
    window.clearTimeout(this._timer);
    this.shown.dispose();
    Signal.clearData(this);
  }

  private async _attempt(change: () => Promise<unknown>): Promise<void> {
    this._fail(undefined);
    try {
      await change();
      await this.shown.refresh();
    } catch (reason) {
      this._fail(ApiError.from(reason, this._core.trans));
    }
  }

  private _fail(error: ApiError | undefined): void {
    this._error = error;
    this._changed.emit();
  }

  private readonly _params: { path: { name: string } };
  private _changed = new Signal<this, void>(this);
  private _error?: ApiError;
  private _timer?: number;
}
