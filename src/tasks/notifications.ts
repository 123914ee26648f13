import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import { DisposableDelegate } from '@lumino/disposable';
import { Signal } from '@lumino/signaling';

import type { TasksModel } from './model';
import type { ITask } from './service';
import type { ITaskNotifier } from './tokens';

const TYPES = {
  running: 'in-progress',
  done: 'success',
  failed: 'error',
  cancelled: 'warning'
} as const;

const CLOSE_AFTER_MS = 5000;

/** Each long task as one notification: in progress, then done, failed or cancelled. */
export class TaskNotifications implements IDisposable, ITaskNotifier {
  constructor(options: TaskNotifications.IOptions) {
    this._options = options;
    options.model.told.connect(this._tell, this);
  }

  /** Say nothing of the tasks of a subject until what is returned is disposed: somebody else shows them. */
  mute(subject: string): IDisposable {
    const entry = { subject };
    this._muted.add(entry);
    return new DisposableDelegate(() => {
      this._muted.delete(entry);
    });
  }

  offer(next: (task: ITask) => readonly Notification.IAction[]): IDisposable {
    this._offers.add(next);
    return new DisposableDelegate(() => {
      this._offers.delete(next);
    });
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    Signal.clearData(this);
    for (const id of this._shown.values()) {
      Notification.dismiss(id);
    }
    this._shown.clear();
  }

  private _tell(_: TasksModel, task: ITask): void {
    if ([...this._muted].some(({ subject }) => subject === task.subject)) {
      return;
    }
    const running = task.state === 'running';
    const message = describeTask(task, this._options.trans);
    const type = TYPES[task.state];
    const offers =
      task.state === 'done'
        ? [...this._offers].flatMap(next => next(task))
        : [];
    const stays = running || task.state === 'failed' || offers.length > 0;
    const options = {
      autoClose: stays ? (false as const) : CLOSE_AFTER_MS,
      progress: running ? (task.progress ?? undefined) : undefined,
      actions: [...this._actions(task), ...offers]
    };
    const shown = this._shown.get(task.id);
    const updated =
      shown !== undefined &&
      Notification.update({ id: shown, message, type, ...options });
    // One that the person closed stays closed, unless there is something to do.
    if (shown === undefined || (!updated && !running && stays)) {
      this._shown.set(task.id, Notification.emit(message, type, options));
    }
    if (!running) {
      this._shown.delete(task.id);
    }
  }

  private _actions(task: ITask): Notification.IAction[] {
    const { trans, onLog, onCancel } = this._options;
    const actions: Notification.IAction[] = [
      {
        label: trans.__('Show log'),
        caption: trans.__('Show the last lines that this task wrote'),
        callback: event => {
          // The notification stays: the work goes on.
          event.preventDefault();
          onLog(task.id);
        }
      }
    ];
    if (task.state === 'running') {
      actions.push({
        label: trans.__('Cancel'),
        caption: trans.__('Stop this task'),
        callback: event => {
          event.preventDefault();
          onCancel(task.id);
        }
      });
    }
    return actions;
  }

  private _options: TaskNotifications.IOptions;
  /** Ids of notifications by ids of tasks that run. */
  private _shown = new Map<string, string>();
  private _offers = new Set<(task: ITask) => readonly Notification.IAction[]>();
  private _muted = new Set<{ readonly subject: string }>();
  private _isDisposed = false;
}

export namespace TaskNotifications {
  export interface IOptions {
    model: TasksModel;
    trans: TranslationBundle;
    onLog: (id: string) => void;
    onCancel: (id: string) => void;
  }
}

/** A task in one line or two: what it is, how it goes, and what to do when it failed. */
export function describeTask(task: ITask, trans: TranslationBundle): string {
  if (task.state === 'cancelled') {
    return trans.__('%1: cancelled.', task.title);
  }
  const detail = task.message && task.message !== task.title;
  const head = detail ? `${task.title}: ${task.message}` : task.title;
  return task.state === 'failed' && task.hint ? `${head} ${task.hint}` : head;
}
