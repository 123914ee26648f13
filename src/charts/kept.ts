import type { PartialJSONValue } from '@lumino/coreutils';
import type { IStateDB } from '@jupyterlab/statedb';

import type { IBoard } from './cards';
import { asBoard } from './cards';

const STATE_KEY = 'genops-lab:charts';

/** The charts as they were left belong to the workspace, as the table does. */
export class BoardStore {
  constructor(private _state: IStateDB | null) {}

  async left(): Promise<IBoard> {
    return asBoard(await this._state?.fetch(STATE_KEY));
  }

  async leave(board: IBoard): Promise<void> {
    await this._state?.save(
      STATE_KEY,
      JSON.parse(JSON.stringify(board)) as PartialJSONValue
    );
  }
}
