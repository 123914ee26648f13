import { ReactWidget } from '@jupyterlab/ui-components';
import type { IStateDB } from '@jupyterlab/statedb';
import type { Message } from '@lumino/messaging';
import * as React from 'react';

import type { IGenOpsCore } from '../core';
import type { RunTableModel } from '../experiments/table/model';
import { RunTableService } from '../experiments/table/service';

import { BoardStore } from './kept';
import { ChartsModel } from './model';
import { ChartsService } from './service';
import { Charts } from './view/charts';

/** Charts in the main area. They ask for nothing while they are not seen. */
export class ChartsWidget extends ReactWidget {
  constructor(private _options: ChartsWidget.IOptions) {
    super();
    const { core, table, state } = _options;
    const { api, events, live, trans } = core;
    this.model = new ChartsModel({
      table,
      runs: new RunTableService(api),
      service: new ChartsService(api),
      store: new BoardStore(state),
      events,
      live,
      trans
    });
    this.addClass('gol-Charts-host');
    document.addEventListener('visibilitychange', this._look);
  }

  readonly model: ChartsModel;

  override dispose(): void {
    document.removeEventListener('visibilitychange', this._look);
    this.model.dispose();
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
    this.model.visible = false;
    super.onBeforeDetach(msg);
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

  private _look = (): void => {
    this.model.visible =
      this.isVisible && document.visibilityState !== 'hidden';
  };
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
