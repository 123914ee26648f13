import type { IStateDB } from '@jupyterlab/statedb';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { components } from '../api/generated';
import type { IGenOpsCore } from '../core';
import { Resource } from '../core';

type IRunPage = components['schemas']['Page_Run_'];

const STATE_KEY = 'genops-lab:started';

/** Whether to show "Start here": no run exists, and the user has not closed it. */
export class StartModel {
  constructor(
    core: Pick<IGenOpsCore, 'api' | 'events' | 'trans'>,
    private _state: Pick<IStateDB, 'fetch' | 'save'> | null
  ) {
    const { api, events, trans } = core;
    this._runs = new Resource<IRunPage>({
      trans,
      events,
      kinds: ['run'],
      fetch: signal => {
        const params = { query: { limit: 1 } };
        return api.data(api.http.GET('/runs', { params, signal }));
      }
    });
    this._runs.changed.connect(() => {
      if (this._runs.value?.items.length) {
        this.end();
      }
    }, this);
    this.ready = this._restore();
  }

  /** Settled when it is known whether this browser has started before. */
  readonly ready: Promise<void>;

  /** Emitted when {@link begins} changes. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** False also while it is not known. */
  get begins(): boolean {
    return this._begins;
  }

  /** Whether the panel is seen: nothing is asked otherwise. */
  get seen(): boolean {
    return this._seen;
  }
  set seen(value: boolean) {
    this._seen = value;
    this._runs.visible = value && this._begins;
  }

  /** Say no more how to start. */
  end(): void {
    if (this._begins) {
      this._put(false);
      this._state?.save(STATE_KEY, true).catch(() => undefined);
    }
  }

  private async _restore(): Promise<void> {
    const started = await this._state
      ?.fetch(STATE_KEY)
      // Without it the words are there once more.
      .catch(() => undefined);
    if (started !== true) {
      this._put(true);
    }
  }

  private _put(begins: boolean): void {
    this._begins = begins;
    this.seen = this._seen;
    this._changed.emit();
  }

  private _runs: Resource<IRunPage>;
  private _begins = false;
  private _seen = false;
  private _changed = new Signal<this, void>(this);
}
