import type { Notification } from '@jupyterlab/apputils';
import { Token } from '@lumino/coreutils';
import type { IDisposable } from '@lumino/disposable';

import type { ITask } from './service';

/** How long work is told to the person. */
export interface ITaskNotifier {
  /** Say nothing of the tasks of a subject until what is returned is disposed: a dialog shows them. */
  mute(subject: string): IDisposable;

  /**
   * Have the notification of a task that is done say what can be done next; it then
   * stays until it is closed. With nothing to offer it goes by itself.
   */
  offer(next: (task: ITask) => readonly Notification.IAction[]): IDisposable;
}

export const ITaskNotifier = new Token<ITaskNotifier>(
  'genops-lab:ITaskNotifier',
  'The notifications of long work: a room mutes what it shows itself.'
);
