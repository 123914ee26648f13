import type { IStateDB } from '@jupyterlab/statedb';
import * as React from 'react';

import type { IGenOpsCore } from '../../core';
import { FollowingView } from '../../core';
import type { RunTableModel } from '../table/model';
import { RunTableService } from '../table/service';

import { BoardStore } from './history-cache';
import { ChartsModel } from './model';
import { ChartsService } from './service';
import { Charts } from './view/charts';

import '../../../style/experiments/charts.css';

/** Charts in the main area. They request nothing while they are not visible. */
export class ChartsWidget extends FollowingView<ChartsModel> {
  constructor(private _options: ChartsWidget.IOptions) {
    const { core, table, state } = _options;
    const { api, events, live, trans } = core;
    super(
      new ChartsModel({
        table,
        runs: new RunTableService(api),
        service: new ChartsService(api),
        store: new BoardStore(state),
        events,
        live,
        trans
      })
    );
    this.addClass('gol-Charts-host');
  }

  protected override render(): React.ReactElement {
    const { core, onOpen, onInsert } = this._options;
    return (
      <Charts
        model={this.model}
        onOpen={onOpen}
        onInsert={onInsert}
        trans={core.trans}
      />
    );
  }
}

export namespace ChartsWidget {
  export interface IOptions {
    core: IGenOpsCore;
    table: RunTableModel;
    state: IStateDB | null;
    onOpen: (runId: string) => void;
    onInsert: (code: string) => void | Promise<void>;
  }
}
