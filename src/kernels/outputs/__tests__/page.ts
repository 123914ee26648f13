import { NotebookModel } from '@jupyterlab/notebook';
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { Kernel, KernelMessage } from '@jupyterlab/services';
import { Signal } from '@lumino/signaling';

import type { IExecution, IExecutions } from '../service';

type Hook = (message: KernelMessage.IMessage) => boolean | PromiseLike<boolean>;

/** What a cell that this page runs waits with. */
export class FakeFuture {
  constructor(readonly id: string) {}
  readonly msg = { header: { msg_id: this.id } };
  readonly hooks: Hook[] = [];
  isDisposed = false;
  registerMessageHook(hook: Hook): void {
    this.hooks.push(hook);
  }
  dispose(): void {
    this.isDisposed = true;
  }
}

/** A kernel's connection as far as the recovery looks at it. */
export class FakeKernel {
  constructor(readonly id: string) {}
  connectionStatus: Kernel.ConnectionStatus = 'connected';
  reconnections = 0;
  readonly connectionStatusChanged = new Signal<this, Kernel.ConnectionStatus>(
    this
  );
  readonly statusChanged = new Signal<this, Kernel.Status>(this);
  readonly iopubMessage = new Signal<this, KernelMessage.IIOPubMessage>(this);
  reconnect(): Promise<void> {
    this.reconnections += 1;
    return Promise.resolve();
  }
  become(status: Kernel.ConnectionStatus): void {
    this.connectionStatus = status;
    this.connectionStatusChanged.emit(status);
  }
}

/** A real notebook model in a page that has no widgets. */
export class Page {
  constructor(sources: Record<string, string>) {
    for (const [id, source] of Object.entries(sources)) {
      this.model.sharedModel.addCell({ cell_type: 'code', id, source });
    }
    this.model.dirty = false;
  }

  readonly model = new NotebookModel();
  readonly kernel = new FakeKernel('kernel-1');
  readonly futures = new Map<string, FakeFuture>();
  saves = 0;

  readonly sessionContext = {
    session: { kernel: this.kernel },
    ready: Promise.resolve(),
    kernelChanged: new Signal<object, unknown>({})
  };
  readonly context = {
    path: 'notebook.ipynb',
    ready: Promise.resolve(),
    model: this.model,
    saveState: new Signal<object, string>({}),
    fileChanged: new Signal<object, unknown>({}),
    contentsModel: { hash: 'hash-1' },
    save: (): Promise<void> => {
      this.saves += 1;
      this.context.saveState.emit('started');
      this.context.saveState.emit('completed');
      return Promise.resolve();
    }
  };

  get panel(): NotebookPanel {
    const { model, futures } = this;
    return {
      sessionContext: this.sessionContext,
      context: this.context,
      disposed: new Signal<object, void>({}),
      content: {
        model,
        get widgets() {
          return Array.from(model.cells).map(cell => ({
            model: cell,
            outputArea: { future: futures.get(cell.id) }
          }));
        }
      }
    } as unknown as NotebookPanel;
  }

  /** The text that a cell shows. */
  text(id: string): string {
    const cell = Array.from(this.model.cells).find(each => each.id === id);
    return (
      cell?.sharedModel.toJSON() as unknown as { outputs: { text: string }[] }
    ).outputs
      .map(output => [output.text].flat().join(''))
      .join('|');
  }
}

/** An execution that printed `text`. */
export function execution(
  given: Partial<IExecution> & { cell_id: string },
  text = ''
): IExecution {
  return {
    msg_id: 'run-1',
    state: 'done',
    status: 'ok',
    execution_count: 1,
    outputs: text
      ? [{ output_type: 'stream', name: 'stdout', text } as never]
      : [],
    message_ids: [],
    started_at: 0,
    ended_at: null,
    truncated: false,
    full_output: '',
    code: 'work()',
    documented: false,
    ...given
  };
}

/** The server's account of the kernel. */
export function account(
  executions: IExecution[],
  given: Partial<IExecutions> = {}
): IExecutions {
  return {
    kernel_id: 'kernel-1',
    ended: false,
    reason: '',
    recovering: false,
    executions,
    ...given
  };
}
