import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { IGenOpsCore, Tone } from '../core';
import { Resource } from '../core';

import type { ITask } from './service';
import { TasksService } from './service';

/** A task with the end of its log. */
export interface ITaskLog {
  readonly task: ITask;
  readonly lines: readonly string[];
}

/**
 * The tasks of this page: those that ran when the page loaded, and those that started
 * since. Tasks that ended before, and tasks of other pages or programs, are left out.
 */
export class TasksModel implements IDisposable {
  constructor(private _core: Pick<IGenOpsCore, 'api' | 'events' | 'trans'>) {
    this.service = new TasksService(_core.api);
    _core.events.changed('task').connect(this._look, this);
    _core.events.resync.connect(this._onResync, this);
  }

  readonly service: TasksService;

  /** Emitted at each change of a task of this page. */
  get taskChanged(): ISignal<this, ITask> {
    return this._told;
  }

  /** Read the running tasks. */
  start(): void {
    this._look();
  }

  /** The latest tasks, also of other pages and programs. The caller sets `visible` and disposes the list. */
  list(): Resource<ITask[]> {
    return new Resource<ITask[]>({
      fetch: signal => this.service.list(signal),
      events: this._core.events,
      kinds: ['task'],
      trans: this._core.trans
    });
  }

  /** A task with its log. The caller sets `visible` and disposes the resource. */
  log(id: string): Resource<ITaskLog> {
    const { service } = this;
    return new Resource<ITaskLog>({
      fetch: async signal => {
        const [task, lines] = await Promise.all([
          service.get(id, signal),
          service.log(id, signal)
        ]);
        return { task, lines };
      },
      events: this._core.events,
      kinds: ['task'],
      accepts: change => change.id === '' || change.id === id,
      trans: this._core.trans
    });
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (!this._isDisposed) {
      this._isDisposed = true;
      Signal.clearData(this);
    }
  }

  private _onResync(): void {
    if (!this._known || this._running.size > 0) {
      this._look();
    }
  }

  private _look(): void {
    if (this._looking) {
      this._again = true;
      return;
    }
    this._looking = true;
    this.service
      .list()
      .then(tasks => this._take(tasks))
      // The next event tries again; the views show that the backend is down.
      .catch(() => undefined)
      .finally(() => {
        this._looking = false;
        if (this._again && !this._isDisposed) {
          this._again = false;
          this._look();
        }
      });
  }

  private _take(tasks: readonly ITask[]): void {
    if (this._isDisposed) {
      return;
    }
    const first = this._known === null;
    const known = (this._known ??= new Set());
    // Oldest first, as they happened.
    for (const task of [...tasks].reverse()) {
      if (task.client && task.client !== this._core.api.client) {
        continue;
      }
      const running = task.state === 'running';
      const isNew = !known.has(task.id);
      known.add(task.id);
      if (running || this._running.has(task.id) || (isNew && !first)) {
        if (running) {
          this._running.add(task.id);
        } else {
          this._running.delete(task.id);
        }
        this._told.emit(task);
      }
    }
  }

  /** Ids of all tasks so far; null until the first answer. */
  private _known: Set<string> | null = null;
  private _running = new Set<string>();
  private _told = new Signal<this, ITask>(this);
  private _looking = false;
  private _again = false;
  private _isDisposed = false;
}

/** Whether a task runs. */
export function isRunning({ state }: ITask): boolean {
  return state === 'running';
}

/** The tone and label of a task's state. */
export function describeState(
  state: ITask['state'],
  trans: TranslationBundle
): { tone: Tone; label: string } {
  const words: Record<ITask['state'], { tone: Tone; label: string }> = {
    running: { tone: 'busy', label: trans.__('Running') },
    done: { tone: 'ok', label: trans.__('Done') },
    failed: { tone: 'error', label: trans.__('Failed') },
    cancelled: { tone: 'stopped', label: trans.__('Cancelled') }
  };
  return words[state];
}
