import { Notification } from '@jupyterlab/apputils';
import { ReactWidget } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import * as React from 'react';

import type { IGenOpsCore } from '../../core';
import { MediaService } from '../../media/service';
import { ExperimentsModel } from '../model';
import { ExperimentsService } from '../service';
import type { IRunActions } from '../view/actions';

import { RunActions } from './actions';
import { RunTableModel } from './model';
import type { ViewStore } from './saved-views';
import { RunTableService } from './service';
import { RunTable } from './view/run-table';

/** The run table in the main area. It asks for nothing while it is not seen. */
export class RunTableWidget extends ReactWidget {
  constructor(private _options: RunTableWidget.IOptions) {
    super();
    const { core, store } = _options;
    const { api, events, live, trans } = core;
    const experiments = new ExperimentsService(api);
    this._service = new RunTableService(api);
    this.model = new RunTableModel({
      service: this._service,
      experiments: signal => experiments.experiments(signal),
      store,
      events,
      live,
      trans
    });
    this._runs = new ExperimentsModel({
      service: experiments,
      media: new MediaService(api),
      events,
      live,
      trans,
      single: true
    });
    this._actions = new RunActions(
      this.model,
      this._service,
      _options.runActions.compare,
      trans
    );
    this.addClass('gol-RunTable-host');
    document.addEventListener('visibilitychange', this._look);
  }

  readonly model: RunTableModel;

  override dispose(): void {
    document.removeEventListener('visibilitychange', this._look);
    this.model.dispose();
    this._runs.dispose();
    super.dispose();
  }

  protected override onAfterShow(msg: Message): void {
    super.onAfterShow(msg);
    this._look();
  }

  protected override onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    this._look();
  }

  protected override onAfterHide(msg: Message): void {
    super.onAfterHide(msg);
    this._look();
  }

  protected override onBeforeDetach(msg: Message): void {
    this.model.visible = this._runs.visible = false;
    super.onBeforeDetach(msg);
  }

  protected override onActivateRequest(msg: Message): void {
    super.onActivateRequest(msg);
    this.node
      .querySelector<HTMLElement>('.gol-QueryBox input')
      ?.focus({ preventScroll: true });
  }

  protected override render(): React.ReactElement {
    const { core, store } = this._options;
    return (
      <RunTable
        model={this.model}
        runs={this._runs}
        service={this._service}
        actions={this._actions}
        runActions={this._options.runActions}
        store={store}
        onFailure={({ message, hint }) =>
          Notification.error([message, hint].filter(Boolean).join(' '))
        }
        trans={core.trans}
      />
    );
  }

  private _look = (): void => {
    const seen = this.isVisible && document.visibilityState !== 'hidden';
    this.model.visible = seen;
    this._runs.visible = seen;
  };

  private _service: RunTableService;
  private _runs: ExperimentsModel;
  private _actions: RunActions;
}

export namespace RunTableWidget {
  export interface IOptions {
    core: IGenOpsCore;
    store: ViewStore;
    runActions: IRunActions;
  }
}
