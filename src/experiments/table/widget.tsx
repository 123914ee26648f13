import type { Message } from '@lumino/messaging';
import * as React from 'react';

import type { IGenOpsCore } from '../../core';
import { FollowingView } from '../../core';
import { MediaService } from '../media/service';
import { ExperimentsModel } from '../model';
import { ExperimentsService } from '../service';
import type { IRunActions } from '../view/actions';

import { RunActions } from './actions';
import { RunTableModel } from './model';
import type { ViewStore } from './saved-views';
import { RunTableService } from './service';
import { RunTable } from './view/run-table';

import '../../../style/experiments/table.css';

/**
 * The run table in the main area. It requests nothing while it is not visible.
 */
export class RunTableWidget extends FollowingView<RunTableModel> {
  constructor(private _options: RunTableWidget.IOptions) {
    const { core, store } = _options;
    const { api, events, live, trans } = core;
    const experiments = new ExperimentsService(api);
    const service = new RunTableService(api);
    super(
      new RunTableModel({
        service,
        experiments: signal => experiments.experiments(signal),
        latest: runId => experiments.latest(runId),
        store,
        events,
        live,
        trans
      })
    );
    this._service = service;
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
  }

  override dispose(): void {
    this._runs.dispose();
    super.dispose();
  }

  protected override onActivateRequest(msg: Message): void {
    super.onActivateRequest(msg);
    // A new table is drawn after its activation.
    void Promise.resolve(this.renderPromise).then(() => {
      if (document.activeElement === this.node) {
        this.node
          .querySelector<HTMLElement>('.gol-QueryBox input')
          ?.focus({ preventScroll: true });
      }
    });
  }

  protected override setSeen(seen: boolean): void {
    super.setSeen(seen);
    this._runs.visible = seen;
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
        trans={core.trans}
      />
    );
  }

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
