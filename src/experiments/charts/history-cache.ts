import type { PartialJSONObject } from '@lumino/coreutils';
import type { IStateDB } from '@jupyterlab/statedb';
import type { IDisposable } from '@lumino/disposable';

import type { IBoard } from './cards';
import { asBoard } from './cards';

const STATE_KEY = 'genops-lab:charts';

const LEAVE_MS = 400;

/** Return the saved form of a board. */
export function boardJson(board: IBoard): PartialJSONObject {
  return JSON.parse(JSON.stringify(board)) as PartialJSONObject;
}

/** Saves the charts in the workspace, like the table's state. */
export class BoardStore implements IDisposable {
  constructor(private _state: IStateDB | null) {}

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  async left(): Promise<IBoard> {
    return asBoard(await this._state?.fetch(STATE_KEY));
  }

  /** Save a board soon, unless another one comes. */
  leaveSoon(board: IBoard): void {
    this._board = board;
    window.clearTimeout(this._leaving);
    this._leaving = window.setTimeout(() => void this._leave(), LEAVE_MS);
  }

  dispose(): void {
    this._isDisposed = true;
    window.clearTimeout(this._leaving);
    void this._leave();
  }

  private async _leave(): Promise<void> {
    const board = this._board;
    this._board = null;
    if (!board) {
      return;
    }
    try {
      await this._state?.save(STATE_KEY, boardJson(board));
    } catch (reason) {
      console.warn('GenOps Lab: cannot save the state of the charts', reason);
    }
  }

  /** A board that is not saved yet. */
  private _board: IBoard | null = null;
  private _leaving: number | undefined;
  private _isDisposed = false;
}
