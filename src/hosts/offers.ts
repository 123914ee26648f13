import type { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import type { ITask } from '../tasks/service';

import { CommandIDs } from './commands';

const SUBJECT = 'target:';

/**
 * Actions after a build or an installation on a target; the task's message has
 * the result of the test.
 */
export function afterBuild(
  task: ITask,
  trans: TranslationBundle,
  execute: (id: string, args: ReadonlyPartialJSONObject) => void
): Notification.IAction[] {
  if (task.kind !== 'environment' || !task.subject.startsWith(SUBJECT)) {
    return [];
  }
  const name = task.subject.slice(SUBJECT.length);
  return [
    {
      label: trans.__('New notebook'),
      caption: trans.__('Open a new notebook whose kernel runs on %1', name),
      displayType: 'accent',
      callback: () => execute(CommandIDs.notebook, { name })
    },
    {
      label: trans.__('Show full test…'),
      caption: trans.__('See each step, and what remains to be done'),
      callback: () => execute(CommandIDs.test, { name })
    }
  ];
}
