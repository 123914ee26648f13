import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { ReadonlyJSONValue } from '@lumino/coreutils';
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

const CLOSE_AFTER_MS = 4000;
/** JupyterLab draws a toast later. One that is dismissed before would stay for ever. */
const TOAST_DRAWN_MS = 1000;
/** Most toasts on the page; older ones stay in the list of notifications only. */
const MOST_VISIBLE = 2;
const LISTED = { autoClose: 0 };

/**
 * One notification for each subject's latest task: in progress, then done, failed or
 * cancelled. The notification of a success closes by itself.
 */
export class TaskNotifications implements IDisposable, ITaskNotifier {
  constructor(options: TaskNotifications.IOptions) {
    this._options = options;
    options.model.taskChanged.connect(this._tell, this);
  }

  /** Show no notifications of a subject's tasks until the result is disposed. */
  mute(subject: string): IDisposable {
    const entry = { subject };
    this._muted.add(entry);
    this._forget(subject);
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
    [...this._shown.keys()].forEach(subject => this._forget(subject));
  }

  private _tell(_: TasksModel, task: ITask): void {
    if ([...this._muted].some(({ subject }) => subject === task.subject)) {
      return;
    }
    const running = task.state === 'running';
    const offers =
      task.state === 'done'
        ? [...this._offers].flatMap(next => next(task))
        : [];
    const stays = running || task.state === 'failed' || offers.length > 0;
    const content: IContent = {
      message: describeTask(task, this._options.trans),
      type: TYPES[task.state],
      options: {
        autoClose: false,
        progress: running ? (task.progress ?? undefined) : undefined,
        actions: [...this._actions(task), ...offers]
      }
    };
    const subject = task.subject || task.id;
    const shown = this._shown.get(subject);
    if (shown?.task !== task.id) {
      this._forget(subject);
      this._show(subject, task.id, content);
    } else if (running) {
      // A notification that the user closed stays closed.
      this._update(shown, content);
    } else if (stays || Notification.manager.has(shown.id)) {
      // Replace it, so that a hidden notification becomes visible again.
      this._forget(subject);
      this._show(subject, task.id, content);
    }
    if (!stays) {
      const { id } = this._shown.get(subject)!;
      // JupyterLab's own timer stops while the page has no focus.
      window.setTimeout(() => Notification.dismiss(id), CLOSE_AFTER_MS);
    }
  }

  private _show(subject: string, task: string, content: IContent): void {
    const { message, type, options } = content;
    const id = Notification.emit(message, type, options);
    const drawn = Date.now() + (this._options.toastDrawnMs ?? TOAST_DRAWN_MS);
    this._shown.set(subject, { task, id, content, listed: false, drawn });
    const visible = [...this._shown.values()].filter(
      each => !each.listed && Notification.manager.has(each.id)
    );
    for (const each of visible.slice(0, -MOST_VISIBLE)) {
      this._dismiss(each);
      each.listed = true;
      each.id = Notification.emit(each.content.message, each.content.type, {
        ...each.content.options,
        ...LISTED
      });
    }
  }

  private _update(shown: IShown, content: IContent): void {
    shown.content = content;
    const { message, type, options } = content;
    const only = shown.listed ? LISTED : {};
    Notification.update({ id: shown.id, message, type, ...options, ...only });
  }

  private _forget(subject: string): void {
    const shown = this._shown.get(subject);
    if (shown) {
      this._dismiss(shown);
      this._shown.delete(subject);
    }
  }

  private _dismiss({ id, drawn }: IShown): void {
    window.setTimeout(() => Notification.dismiss(id), drawn - Date.now());
  }

  private _actions(task: ITask): Notification.IAction[] {
    const { trans, onLog, onCancel } = this._options;
    const actions: Notification.IAction[] = [
      {
        label: trans.__('Show log'),
        callback: event => {
          // Keep the notification: the task still runs.
          event.preventDefault();
          onLog(task.id);
        }
      }
    ];
    if (task.state === 'running') {
      actions.push({
        label: trans.__('Cancel'),
        callback: event => {
          event.preventDefault();
          onCancel(task.id);
        }
      });
    }
    return actions;
  }

  private _options: TaskNotifications.IOptions;
  /** By subject, in the order of their notifications. */
  private _shown = new Map<string, IShown>();
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
    /** How long JupyterLab takes at most to draw a toast, in ms. */
    toastDrawnMs?: number;
  }
}

interface IContent {
  readonly message: string;
  readonly type: Notification.TypeOptions;
  readonly options: Notification.IOptions<ReadonlyJSONValue>;
}

interface IShown {
  readonly task: string;
  /** Id of the notification; the user may have closed it. */
  id: string;
  content: IContent;
  /** Whether the notification is in the list only, not on the page. */
  listed: boolean;
  /** When its toast is drawn, in ms since 1970. */
  readonly drawn: number;
}

/** A task's title with its message, and its hint if the task failed. */
export function describeTask(task: ITask, trans: TranslationBundle): string {
  if (task.state === 'cancelled') {
    return trans.__('%1: cancelled.', task.title);
  }
  const detail = task.message && task.message !== task.title;
  const head = detail ? `${task.title}: ${task.message}` : task.title;
  return task.state === 'failed' && task.hint ? `${head} ${task.hint}` : head;
}
