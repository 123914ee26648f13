import type { IStateDB } from '@jupyterlab/statedb';
import type { Message } from '@lumino/messaging';
import * as React from 'react';

import type { IGenOpsCore } from '../../core';
import { FollowingView } from '../../core';
import { RunTableModel } from '../../experiments/table/model';
import { ViewStore } from '../../experiments/table/saved-views';
import type { IRunColumns } from '../../experiments/table/service';

import type { ITraceActions } from './actions';
import { DatasetRows } from './dataset-rows';
import { tracesIcon } from './icon';
import { LiveTail } from './live-tail';
import { TracesService } from './service';
import { traceSubject } from './subject';
import { Traces } from './view/traces';

import '../../../style/experiments/table.css';
import '../../../style/genai/traces/traces.css';

/** The page of traces in the main area. It requests nothing while it is not visible. */
export class TracesPage extends FollowingView<RunTableModel> {
  constructor(private _options: TracesPage.IOptions) {
    const { core, state, keepsView, columns } = _options;
    const { api, events, live, trans } = core;
    const service = new TracesService(api, columns);
    super(
      new RunTableModel({
        service,
        subject: traceSubject(trans),
        experiments: () => Promise.resolve([]),
        latest: () => Promise.reject(new Error('Traces have no steps.')),
        store: new ViewStore(
          null,
          keepsView ? state : null,
          'genops-lab:traces'
        ),
        keepsOpened: true,
        events,
        live,
        trans
      })
    );
    this._service = service;
    this._tail = new LiveTail(events, () => {
      if (this._seen) {
        this.model.refresh();
      } else {
        this._missed = true;
      }
    });
    this._rows = new DatasetRows(service, state, trans);
    this.addClass('gol-RunTable-host');
    this.title.label = trans.__('Traces');
    this.title.caption = trans.__(
      'Requests to generative models, as MLflow keeps them'
    );
    this.title.icon = tracesIcon;
    this.title.closable = true;
  }

  override dispose(): void {
    this._tail.dispose();
    super.dispose();
  }

  protected override onActivateRequest(msg: Message): void {
    super.onActivateRequest(msg);
    // A new table is drawn after its activation.
    void Promise.resolve(this.renderPromise).then(() => {
      if (!this.node.contains(document.activeElement)) {
        this.node
          .querySelector<HTMLElement>('.gol-QueryBox input')
          ?.focus({ preventScroll: true });
      }
    });
  }

  protected override setSeen(seen: boolean): void {
    super.setSeen(seen);
    this._seen = seen;
    if (seen && this._missed) {
      this._missed = false;
      this.model.refresh();
    }
    this.update();
  }

  protected override render(): React.ReactElement {
    const { core, actions } = this._options;
    return (
      <Traces
        model={this.model}
        seen={this._seen}
        service={this._service}
        events={core.events}
        tail={this._tail}
        rows={this._rows}
        actions={actions}
        trans={core.trans}
      />
    );
  }

  private _service: TracesService;
  private _tail: LiveTail;
  private _rows: DatasetRows;
  private _seen = false;
  private _missed = false;
}

export namespace TracesPage {
  export interface IOptions {
    core: IGenOpsCore;
    state: IStateDB | null;
    /** Whether the workspace keeps the query, the order and the open trace. */
    keepsView: boolean;
    columns?: Promise<IRunColumns | undefined>;
    actions: ITraceActions;
  }
}
