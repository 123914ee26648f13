import { ReactWidget } from '@jupyterlab/apputils';
import type { IStateDB } from '@jupyterlab/statedb';
import type { TranslationBundle } from '@jupyterlab/translation';
import { closeIcon } from '@jupyterlab/ui-components';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';
import * as React from 'react';

import type { components } from '../api/generated';
import type { IGenOpsCore } from '../core';
import { ActionButton, IconButton, Resource } from '../core';
import { LOAD_EXTENSION } from '../core/notebook';

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

  /** Settles when the saved state is loaded. */
  readonly ready: Promise<void>;

  /** Emitted when {@link begins} changes. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** False also until the state is loaded. */
  get begins(): boolean {
    return this._begins;
  }

  /** Whether the panel is visible; a hidden panel sends no requests. */
  get seen(): boolean {
    return this._seen;
  }
  set seen(value: boolean) {
    this._seen = value;
    this._runs.visible = value && this._begins;
  }

  /** Hide "Start here" for good. */
  end(): void {
    if (this._begins) {
      this._put(false);
      this._state?.save(STATE_KEY, true).catch(() => undefined);
    }
  }

  private async _restore(): Promise<void> {
    const started = await this._state
      ?.fetch(STATE_KEY)
      // Without the saved state "Start here" is shown again.
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

/** "Start here", above the panel's sections. */
export class StartHereBanner extends ReactWidget {
  constructor(private _options: StartHereBanner.IOptions) {
    super();
    this.addClass('gol-StartHere-host');
    const { model } = _options;
    model.changed.connect(this._onChanged, this);
    this._onChanged();
  }

  protected override render(): React.ReactElement {
    const { model, trans, onQuickstart, onLoad } = this._options;
    return (
      <section className="gol-StartHere" aria-label={trans.__('Start here')}>
        <div className="gol-StartHere-head">
          <strong>{trans.__('Start here')}</strong>
          <IconButton
            icon={closeIcon}
            label={trans.__('Close “Start here”')}
            onClick={() => model.end()}
          />
        </div>
        <p>
          {trans.__(
            'The quickstart tracks, profiles and deploys a small model. It takes a few minutes.'
          )}
        </p>
        <ActionButton
          label={trans.__('Open the quickstart')}
          primary
          onClick={onQuickstart}
        />
        <p>
          {trans.__('In your own notebook, run this first:')}{' '}
          <code>{LOAD_EXTENSION}</code>
        </p>
        <ActionButton
          label={trans.__('Insert this line')}
          caption={trans.__('Insert %1 into the notebook', LOAD_EXTENSION)}
          onClick={onLoad}
        />
      </section>
    );
  }

  private _onChanged(): void {
    this.setHidden(!this._options.model.begins);
    this.update();
  }
}

export namespace StartHereBanner {
  export interface IOptions {
    model: StartModel;
    trans: TranslationBundle;
    /** Open the quickstart notebook. */
    onQuickstart: () => void;
    /** Insert the line that loads the magics into the notebook. */
    onLoad: () => void;
  }
}
