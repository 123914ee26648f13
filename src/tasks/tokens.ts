import type { Notification } from '@jupyterlab/apputils';
import { Token } from '@lumino/coreutils';
import type { IDisposable } from '@lumino/disposable';

import type { ITask } from './service';

/** Control over the notifications of tasks. */
export interface ITaskNotifier {
  /** Show no notifications of a subject's tasks until the result is disposed, as while a dialog or a page shows them. */
  mute(subject: string): IDisposable;

  /**
   * Add actions to the notification of a task that is done. A notification with
   * actions stays until the user closes it; others close by themselves.
   */
  offer(next: (task: ITask) => readonly Notification.IAction[]): IDisposable;
}

export const ITaskNotifier = new Token<ITaskNotifier>(
  'genops-lab:ITaskNotifier',
  'The notifications of tasks: a feature mutes the tasks that it shows itself.'
);
