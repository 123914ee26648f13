/** Restart the kernel of a notebook after its end, also elsewhere, and run cells again. */
import type { ISessionContext } from '@jupyterlab/apputils';
import type { Cell } from '@jupyterlab/cells';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { NotebookActions } from '@jupyterlab/notebook';
import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { ICellToRerun } from './cells-to-rerun';
import { cellsToRerun } from './cells-to-rerun';
import type { IEnd } from './ended-kernels';
import type { Picker } from './picker';
import { Places } from './places';
import type { IKernelNotice } from './service';
import { openRestartDialog } from './view/restart-dialog';

/** The choice of a place and of the cells that run again. */
export class RestartChoice implements IDisposable {
  /** Disposes the picker with itself. */
  constructor(
    readonly picker: Picker,
    private _notebook: Pick<NotebookPanel['content'], 'widgets'>,
    readonly end: IEnd
  ) {
    picker.changed.connect(this._tell, this);
    // A cell that was run at the same time may be refused a moment later.
    NotebookActions.executed.connect(this._tell, this);
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** The cells that may run again, in the order in which they would run. */
  get cells(): readonly ICellToRerun[] {
    const { refused, before } = this.end;
    return cellsToRerun(this._notebook.widgets, refused, before);
  }

  /** A cell that failed would stop those after it, so it is not ticked. */
  isTicked({ cell, outcome }: ICellToRerun): boolean {
    return this._ticks.get(cell) ?? outcome !== 'failed';
  }

  tick(cells: readonly ICellToRerun[], ticked: boolean): void {
    cells.forEach(({ cell }) => this._ticks.set(cell, ticked));
    this._tell();
  }

  /** The ticked cells, in order. */
  get ticked(): readonly Cell[] {
    return this.cells
      .filter(each => this.isTicked(each))
      .map(({ cell }) => cell);
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (!this._isDisposed) {
      this._isDisposed = true;
      NotebookActions.executed.disconnect(this._tell, this);
      this.picker.dispose();
      Signal.clearData(this);
    }
  }

  private _tell(): void {
    this._changed.emit();
  }

  private _ticks = new WeakMap<Cell, boolean>();
  private _isDisposed = false;
  private _changed = new Signal<this, void>(this);
}

/**
 * Ask where the kernel restarts and which cells run again, then do both. The
 * run stops at the first error.
 */
export async function restartEnded(
  options: Places.IOptions,
  notebook: NotebookPanel,
  end: IEnd
): Promise<void> {
  const { core, questions } = options;
  const places = new Places(options);
  const { content, context, sessionContext } = notebook;
  const chosen = await openRestartDialog({
    choice: new RestartChoice(await places.pickerOf(notebook), content, end),
    questions,
    trans: core.trans,
    path: context.localPath
  });
  if (!chosen) {
    return;
  }
  const { place, cells } = chosen;
  await (place ? places.move(notebook, place) : restart(sessionContext));
  if (cells.length > 0) {
    // All at once: they are queued, and run also when the page is closed.
    await NotebookActions.runCells(content, [...cells], sessionContext);
  }
}

/** Open the notebook of a kernel. Rejects if no notebook has it any more. */
export async function openNotebookOf(
  { app, core }: Places.IOptions,
  { kernel_id }: IKernelNotice
): Promise<NotebookPanel | undefined> {
  const path = [...app.serviceManager.sessions.running()].find(
    ({ kernel }) => kernel?.id === kernel_id
  )?.path;
  if (!path) {
    throw new Error(core.trans.__('No notebook has this kernel any more.'));
  }
  const notebook = (await app.commands.execute('docmanager:open', {
    path
  })) as NotebookPanel | undefined;
  await notebook?.context.ready;
  return notebook;
}

async function restart(session: ISessionContext): Promise<void> {
  const kernel = session.session?.kernel;
  // JupyterLab drops a kernel once it has seen it dead.
  await (kernel?.status === 'dead'
    ? session.changeKernel({ name: kernel.name })
    : session.restartKernel());
}
