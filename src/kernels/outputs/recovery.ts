import type { CodeCell, ICodeCellModel } from '@jupyterlab/cells';
import type { DocumentRegistry } from '@jupyterlab/docregistry';
import type * as nbformat from '@jupyterlab/nbformat';
import type { INotebookModel, NotebookPanel } from '@jupyterlab/notebook';
import type { Kernel, KernelMessage } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import { Signal } from '@lumino/signaling';

import type { GenOpsEvents, IChanged } from '../../core';

import { OutputsWriter, updateExcerpt } from './apply';
import { NotebookFile, codeCell } from './file';
import { appendRecovered } from './recovered';
import { sameOutputs } from './same-outputs';
import type { IExecution, IExecutions, OutputsService } from './service';

/** Milliseconds; pages of one document look again at different times. */
const AGAIN_MS = 1000;
/**
 * The checks in a row that must find a shared document right. A page reads the
 * server's account before it receives what other pages wrote meanwhile.
 */
const RIGHT_LOOKS = 5;

/**
 * Gives a notebook the outputs that its page did not see: from before the load,
 * during a cut, or while the server was away. Each live message is added
 * exactly once: the ids show which ones the server's account already has.
 */
export class NotebookRecovery implements IDisposable {
  constructor(private _options: NotebookRecovery.IOptions) {
    const { panel, contents, trans } = _options;
    const { sessionContext, context } = panel;
    this._file = new NotebookFile({
      panel,
      contents,
      trans,
      isRunning: ({ id }) => this._isRunning(id),
      taken: cell => {
        this._liveFuture(cell.id)?.dispose();
        cell.executionState = 'idle';
      }
    });
    sessionContext.kernelChanged.connect(this._onKernel, this);
    context.saveState.connect(this._onSave, this);
    _options.events.changed('output').connect(this._onOutput, this);
    _options.events.resync.connect(this._onResync, this);
    this._onKernel();
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (!this._isDisposed) {
      this._isDisposed = true;
      this._abort.abort();
      window.clearTimeout(this._timer);
      Signal.clearData(this);
    }
  }

  private get _kernel(): Kernel.IKernelConnection | null {
    return this._options.panel.sessionContext.session?.kernel ?? null;
  }

  private _onKernel(): void {
    if (this._watched !== this._kernel) {
      this._watched?.connectionStatusChanged.disconnect(this._onStatus, this);
      this._watched?.iopubMessage.disconnect(this._onMessage, this);
      this._watched = this._kernel;
      this._watched?.connectionStatusChanged.connect(this._onStatus, this);
      this._watched?.iopubMessage.connect(this._onMessage, this);
      this._followed.clear();
      this._doubtful.clear();
      this._running.clear();
      this._isBehind = true;
      this._look();
    }
  }

  private _onStatus(_: unknown, status: Kernel.ConnectionStatus): void {
    if (status === 'connected') {
      this._isBehind = true;
      this._look();
    } else {
      this._doubt();
    }
  }

  /**
   * The server is back: a connection that gave up, or waits up to 30 s for its
   * next attempt, tries again now.
   */
  private _onResync(): void {
    const kernel = this._watched;
    if (kernel && kernel.connectionStatus !== 'connected') {
      void kernel.reconnect().catch(() => undefined);
    }
    if (this._waits) {
      this._look();
    }
  }

  private _onOutput(_: GenOpsEvents, change: IChanged): void {
    if (change.id === this._watched?.id && this._waits) {
      this._look();
    }
  }

  /** Whether a later account is still needed. */
  private get _waits(): boolean {
    return (
      this._unfinished || this._followed.size > 0 || this._open().length > 0
    );
  }

  /** From now on this page may miss messages of its runs, also the reply. */
  private _doubt(): void {
    for (const [cell, future] of this._futures()) {
      if (!this._doubtful.has(future.msg.header.msg_id)) {
        this._doubtful.add(future.msg.header.msg_id);
        future.registerMessageHook(message => this._admit(cell, message));
      }
    }
  }

  /** The runs whose end this page waits for and may miss. */
  private _open(): string[] {
    return [
      ...this._followed.keys(),
      ...this._futures()
        .map(([, future]) => future.msg.header.msg_id)
        .filter(id => this._doubtful.has(id))
    ];
  }

  /**
   * Whether the cell shall take this message: neither the requested account nor
   * the last one has it.
   */
  private async _admit(
    cell: CodeCell,
    message: KernelMessage.IMessage
  ): Promise<boolean> {
    await this._looking;
    return (
      !this._seen.has(message.header.msg_id) &&
      !updateExcerpt(cell.model.outputs, message)
    );
  }

  private _look(): void {
    if (this._looking) {
      this._again = true;
      return;
    }
    const kernel = this._watched;
    if (!kernel || this._isDisposed) {
      return;
    }
    const { panel, service } = this._options;
    this._looking = panel.context.ready
      .then(() =>
        service.executions(kernel.id, this._open(), this._abort.signal)
      )
      .then(account => {
        if (kernel === this._watched && !this._isDisposed) {
          this._take(account);
          return this._catchUp();
        }
        return undefined;
      })
      .catch(() => {
        // The server is away: its return, the next event or the reconnected
        // kernel calls this again.
        this._unfinished = true;
      })
      .finally(() => {
        this._looking = null;
        this._late.splice(0).forEach(message => this._follow(message));
        if (this._again) {
          this._again = false;
          this._look();
        }
      });
  }

  /**
   * Take from the file what the server wrote while this page was away. The
   * account, which was read first, has the rest.
   */
  private async _catchUp(): Promise<void> {
    if (this._isBehind) {
      await this._file.look();
      this._isBehind = false;
    }
  }

  private _onMessage(_: unknown, message: KernelMessage.IIOPubMessage): void {
    if (this._looking) {
      this._late.push(message);
    } else {
      this._follow(message);
    }
  }

  private _follow(message: KernelMessage.IIOPubMessage): void {
    const parent = (message.parent_header as { msg_id?: string }).msg_id ?? '';
    const writer = this._followed.get(parent);
    if (writer && !this._seen.has(message.header.msg_id)) {
      this._seen.add(message.header.msg_id);
      if (writer.write(message)) {
        this._followed.delete(parent);
        this._unfinished = true;
        this._look();
      }
    }
  }

  private _take(account: IExecutions): void {
    const { panel, trans } = this._options;
    const model = panel.content.model;
    if (!model) {
      return;
    }
    if (!this._isTouched) {
      this._isTouched = true;
      this._wasDirty = model.dirty;
    }
    const latest = new Map(account.executions.map(e => [e.cell_id, e.msg_id]));
    const homeless: IExecution[] = [];
    this._unfinished = account.recovering;
    this._running = new Set(
      account.executions
        .filter(({ state }) => state === 'running')
        .map(({ cell_id }) => cell_id)
    );
    for (const execution of account.executions) {
      for (const id of execution.message_ids) {
        this._seen.add(id);
      }
      const cell = codeCell(model, execution.cell_id);
      if (latest.get(execution.cell_id) !== execution.msg_id) {
        this._confirm(execution);
      } else if (cell && source(cell) === execution.code) {
        this._merge(cell, execution);
      } else if (execution.state !== 'done') {
        this._unfinished = true;
      } else if (!execution.documented) {
        homeless.push(execution);
      }
    }
    this._rightWhatIsConfirmed(model, new Set(latest.values()));
    this._endStandIns(model, latest);
    const added = appendRecovered(model.sharedModel, homeless, trans);
    if (added && this._isShared) {
      this._lookAgain();
    } else {
      homeless.forEach(execution => this._confirm(execution));
    }
    if (this._isShared) {
      this._tellDone(); // the room saves, and a save of this page could undo what others wrote
    } else if (this._toConfirm.size > 0 && !this._wasDirty) {
      this._save();
    }
  }

  private _merge(cell: ICodeCellModel, execution: IExecution): void {
    const { msg_id, state, outputs, execution_count } = execution;
    const future = this._liveFuture(cell.id);
    if (future?.msg.header.msg_id === msg_id && !this._doubtful.has(msg_id)) {
      return; // this page runs it, and has missed nothing
    }
    if (future && future.msg.header.msg_id !== msg_id) {
      return; // it was run again meanwhile
    }
    if (this._watchedRuns.has(msg_id) && cell.executionState === 'running') {
      this._lookAgain(); // another page runs it again, which the account does not show yet
      return;
    }
    const there = cell.outputs.toJSON();
    const same = sameOutputs(there, outputs);
    if (state === 'running' && !future && this._isShared) {
      this._standIn(cell, execution, JSON.stringify(there));
      return;
    }
    if (!same) {
      this._write(cell, execution);
    }
    if (state === 'running') {
      cell.executionState = 'running';
      // Only the account has the end of an output that is too large for a page.
      this._unfinished = this._unfinished || execution.truncated === true;
      if (!future) {
        this._followed.set(msg_id, new OutputsWriter(cell.outputs));
      }
      return;
    }
    this._followed.delete(msg_id);
    this._doubtful.delete(msg_id);
    future?.dispose();
    cell.executionState = 'idle';
    if (cell.executionCount !== execution_count) {
      cell.executionCount = execution_count;
    }
    this._stood.delete(msg_id);
    if (!this._isShared) {
      this._confirm(execution);
    } else if (this._isRightAgain(execution, same)) {
      this._confirm(execution);
    }
  }

  /**
   * Count the checks that found a run's outputs right, and look again until
   * they are enough. Returns whether they are.
   */
  private _isRightAgain(execution: IExecution, right: boolean): boolean {
    const before = this._watchedRuns.get(execution.msg_id)?.looks ?? 0;
    const looks = right ? before + 1 : 0;
    if (looks >= RIGHT_LOOKS) {
      this._watchedRuns.delete(execution.msg_id);
      return true;
    }
    this._watchedRuns.set(execution.msg_id, { execution, looks });
    this._lookAgain();
    return false;
  }

  /**
   * Check runs that the account no longer has: outputs that two pages wrote at
   * once are there twice when each receives the other's. A saved document or
   * another page may have confirmed the run before.
   */
  private _rightWhatIsConfirmed(
    model: INotebookModel,
    accounted: ReadonlySet<string>
  ): void {
    for (const { execution } of [...this._watchedRuns.values()]) {
      const { msg_id, cell_id, outputs, execution_count } = execution;
      if (accounted.has(msg_id)) {
        continue;
      }
      const cell = codeCell(model, cell_id);
      const there = cell?.outputs.toJSON() ?? [];
      const same = sameOutputs(there, outputs);
      const count = cell?.executionCount ?? null;
      const isOfThisRun =
        count === execution_count ||
        (count === null && same && outputs.length > 0);
      if (cell && isOfThisRun && (same || holdsMore(there, outputs))) {
        if (!same) {
          this._write(cell, execution);
        } else if (count === null) {
          cell.executionCount = execution_count; // a restarted server's document may be older than the account
        }
        this._isRightAgain(execution, same);
      } else {
        this._watchedRuns.delete(msg_id); // the user has changed it
      }
    }
  }

  private _write(cell: ICodeCellModel, { outputs }: IExecution): void {
    cell.trusted = true; // as after a run in this page
    cell.outputs.fromJSON(outputs as unknown as nbformat.IOutput[]);
  }

  /**
   * In a shared document one page writes the outputs of a run. Another page
   * takes over when no page seems to write.
   */
  private _standIn(
    cell: ICodeCellModel,
    { msg_id, cell_id, outputs }: IExecution,
    there: string
  ): void {
    if (this._stood.get(msg_id)?.there === there) {
      cell.outputs.fromJSON(outputs as unknown as nbformat.IOutput[]);
      there = JSON.stringify(cell.outputs.toJSON());
    }
    this._stood.set(msg_id, { cell_id, there });
    cell.executionState = 'running';
    this._unfinished = true;
    if (!document.hidden) {
      this._lookAgain();
    }
  }

  /**
   * A run that the account no longer has has ended, and another page wrote its
   * outputs: its cell no longer runs.
   */
  private _endStandIns(
    model: INotebookModel,
    latest: ReadonlyMap<string, string>
  ): void {
    for (const [msgId, { cell_id }] of [...this._stood]) {
      if (latest.get(cell_id) === msgId) {
        continue;
      }
      this._stood.delete(msgId);
      const cell = codeCell(model, cell_id);
      if (cell && !latest.has(cell_id)) {
        cell.executionState = 'idle';
      }
    }
  }

  private get _isShared(): boolean {
    return this._options.panel.content.model?.collaborative === true;
  }

  /**
   * Another page of a shared document may have added the same outputs at the
   * same moment.
   */
  private _lookAgain(): void {
    window.clearTimeout(this._timer);
    this._timer = window.setTimeout(
      () => this._look(),
      AGAIN_MS * (1 + 2 * Math.random())
    );
  }

  private _confirm(execution: IExecution): void {
    this._toConfirm.add(execution.msg_id);
  }

  private _save(): void {
    const { context } = this._options.panel;
    if (!context.model.readOnly) {
      // A failed save shows its own message.
      void context.save().catch(() => undefined);
    }
  }

  private _onSave(_: unknown, state: DocumentRegistry.SaveState): void {
    if (state === 'completed') {
      this._isTouched = false;
      this._tellDone();
    }
  }

  private _tellDone(): void {
    const kernel = this._watched;
    for (const msgId of kernel ? this._toConfirm : []) {
      this._options.service.done(kernel!.id, msgId).then(
        () => this._toConfirm.delete(msgId),
        () => undefined // asked again after the next save or look
      );
    }
  }

  /** The runs of this page. */
  private _futures(): [CodeCell, Kernel.IShellFuture][] {
    return this._options.panel.content.widgets
      .filter((cell): cell is CodeCell => cell.model.type === 'code')
      .map(cell => [cell, futureOf(cell)] as const)
      .filter((pair): pair is [CodeCell, Kernel.IShellFuture] => !!pair[1]);
  }

  private _liveFuture(cellId: string): Kernel.IShellFuture | null {
    const found = this._futures().find(([cell]) => cell.model.id === cellId);
    return found ? found[1] : null;
  }

  /** Whether more outputs of a cell come, which the file does not have. */
  private _isRunning(cellId: string): boolean {
    const future = this._liveFuture(cellId);
    return (
      this._running.has(cellId) ||
      (!!future && !this._doubtful.has(future.msg.header.msg_id))
    );
  }

  private readonly _file: NotebookFile;
  /** The cells that run by the last account. */
  private _running = new Set<string>();
  /** Whether the file may have outputs of which this page has not heard. */
  private _isBehind = false;
  private _watched: Kernel.IKernelConnection | null = null;
  private _looking: Promise<void> | null = null;
  private _again = false;
  private _timer = 0;
  /** The content of other pages' cells at the last look of this page. */
  private _stood = new Map<string, { cell_id: string; there: string }>();
  /**
   * Runs in a shared document, and how many checks in a row found their outputs
   * right.
   */
  private _watchedRuns = new Map<
    string,
    { execution: IExecution; looks: number }
  >();
  private _unfinished = false;
  /** Messages that came during the request of an account. */
  private _late: KernelMessage.IIOPubMessage[] = [];
  /** Ids of messages that are in the cells. */
  private _seen = new Set<string>();
  /** Runs without a future in this page. */
  private _followed = new Map<string, OutputsWriter>();
  /** Runs of this page that may have missed messages. */
  private _doubtful = new Set<string>();
  private _toConfirm = new Set<string>();
  /**
   * Since the last save: whether this object changed the document, and whether
   * the user had before.
   */
  private _isTouched = false;
  private _wasDirty = false;
  private _abort = new AbortController();
  private _isDisposed = false;
}

export namespace NotebookRecovery {
  export interface IOptions {
    panel: NotebookPanel;
    contents: NotebookFile.IOptions['contents'];
    service: Pick<OutputsService, 'executions' | 'done'>;
    events: GenOpsEvents;
    trans: TranslationBundle;
  }
}

function futureOf(cell: CodeCell): Kernel.IShellFuture | null {
  const future = cell.outputArea?.future as Kernel.IShellFuture | undefined;
  return future && !future.isDisposed ? future : null;
}

function source(cell: ICodeCellModel): string {
  return cell.sharedModel.getSource();
}

/**
 * Whether a list of outputs begins or ends with all of another one and has
 * more.
 */
function holdsMore(
  there: readonly object[],
  outputs: readonly object[]
): boolean {
  const { length } = outputs;
  return (
    length > 0 &&
    there.length > length &&
    (sameOutputs(there.slice(0, length), outputs) ||
      sameOutputs(there.slice(-length), outputs))
  );
}
