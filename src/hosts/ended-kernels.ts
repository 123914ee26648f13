import type { Cell, CodeCell } from '@jupyterlab/cells';
import type {
  INotebookTracker,
  KernelError,
  Notebook,
  NotebookPanel
} from '@jupyterlab/notebook';
import { NotebookActions } from '@jupyterlab/notebook';
import type { IDisposable } from '@lumino/disposable';

/** The name of the error for code that was sent to a kernel that has ended. */
const ENDED = 'KernelEnded';

/** The end of a notebook's kernel. */
export interface IEnd {
  readonly why: string;
  /**
   * The cells that were run after it. The list grows while the dialog is open:
   * of many cells run at once, each is reported alone.
   */
  readonly refused: readonly Cell[];
  /** The places of refused cells in the order in which cells ran. */
  readonly before: WeakMap<Cell, number>;
}

/**
 * Offers a restart where cells were refused because their kernel has ended, and
 * where the user asks for it.
 */
export class EndedKernels implements IDisposable {
  constructor(private _options: EndedKernels.IOptions) {
    NotebookActions.executionScheduled.connect(this._onScheduled, this);
    NotebookActions.executed.connect(this._onExecuted, this);
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    this._isDisposed = true;
    NotebookActions.executionScheduled.disconnect(this._onScheduled, this);
    NotebookActions.executed.disconnect(this._onExecuted, this);
  }

  /** Offer a restart of a notebook's kernel, unless the dialog is open. */
  offer(panel: NotebookPanel, why: string, ...refused: Cell[]): void {
    const asked = this._refused.get(panel);
    if (asked) {
      asked.push(...refused);
      return;
    }
    this._refused.set(panel, refused);
    void this._options
      .restart(panel, { why, refused, before: this._before })
      .finally(() => this._refused.delete(panel));
  }

  /** JupyterLab clears the count of a cell that is run. */
  private _onScheduled(_: unknown, { cell }: { cell: Cell }): void {
    const { executionState, executionCount } = (cell as CodeCell).model;
    const place = executionState === 'running' ? Infinity : executionCount;
    if (place) {
      this._before.set(cell, place);
    }
  }

  private _onExecuted(
    _: unknown,
    run: { notebook: Notebook; cell: Cell; error?: KernelError | null }
  ): void {
    if (run.error?.errorName !== ENDED) {
      return;
    }
    const panel = this._options.notebooks.find(
      ({ content }) => content === run.notebook
    );
    if (panel) {
      this.offer(panel, run.error.errorValue, run.cell);
    }
  }

  private _refused = new Map<NotebookPanel, Cell[]>();
  private _before = new WeakMap<Cell, number>();
  private _isDisposed = false;
}

export namespace EndedKernels {
  export interface IOptions {
    notebooks: Pick<INotebookTracker, 'find'>;
    /** Show the dialog; does not reject. */
    restart: (panel: NotebookPanel, end: IEnd) => Promise<void>;
  }
}
