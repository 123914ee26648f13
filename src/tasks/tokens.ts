import { Token } from '@lumino/coreutils';
import type { IDisposable } from '@lumino/disposable';

/** How long work is told to the person. */
export interface ITaskNotifier {
  /** Say nothing of the tasks of a subject until what is returned is disposed: a dialog shows them. */
  mute(subject: string): IDisposable;
}

export const ITaskNotifier = new Token<ITaskNotifier>(
  'genops-lab:ITaskNotifier',
  'The notifications of long work: a room mutes what it shows itself.'
);
