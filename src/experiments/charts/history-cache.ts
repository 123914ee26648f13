import type { PartialJSONObject } from '@lumino/coreutils';
import type { IStateDB } from '@jupyterlab/statedb';
import type { IDisposable } from '@lumino/disposable';

import type { IBoard } from './cards';
import { asBoard } from './cards';

const STATE_KEY = 'genops-lab:charts';

const LEAVE_MS = 400;

/** What is kept of a board. */
export function boardJson(board: IBoard): PartialJSONObject {
  return JSON.parse(JSON.stringify(board)) as PartialJSONObject;
}

/** The charts as they were left belong to the workspace, as the table does. */
export class BoardStore implements IDisposable {
  constructor(private _state: IStateDB | null) {}

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  async left(): Promise<IBoard> {
    return asBoard(await this._state?.fetch(STATE_KEY));
  }

  /** Keep a board, when no other one comes at once. */
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
      console.warn('GenOps Lab: the charts will not be as now', reason);
    }
  }

  /** What is not kept yet. */
  private _board: IBoard | null = null;
  private _leaving: number | undefined;
  private _isDisposed = false;
}
