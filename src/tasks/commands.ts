import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { ICommandPalette } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { listIcon, stopIcon } from '@jupyterlab/ui-components';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { choose, definer, openBelow, textArg, textOf } from '../core';

import type { TasksModel } from './model';
import { describeState } from './model';
import type { ITask } from './service';

export namespace CommandIDs {
  export const showLog = 'genops:show-task-log';
  export const cancel = 'genops:cancel-task';
}

export interface ICommandsOptions {
  app: JupyterFrontEnd;
  model: TasksModel;
  trans: TranslationBundle;
  palette: ICommandPalette | null;
}

/** Add the commands of tasks. */
export function addCommands(options: ICommandsOptions): void {
  const { app, model, trans, palette } = options;
  const define = definer(app, palette, trans);
  const named = {
    id: textArg(trans.__('Id of the task; a dialog asks if it is missing'))
  };

  define(CommandIDs.showLog, {
    label: trans.__('Show the Log of a Task…'),
    caption: trans.__('Show the log of a deployment or another task'),
    icon: listIcon,
    args: named,
    execute: async args => {
      const task = await chooseTask(model, args, () => true, trans);
      if (task) {
        const { TaskLogView } = await import('./view/log');
        openBelow(app, {
          id: `genops-task-${task.id}`,
          title: trans.__('Log: %1', task.title),
          icon: listIcon,
          content: () =>
            new TaskLogView({
              log: model.log(task.id),
              trans,
              onCancel: () => {
                void app.commands.execute(CommandIDs.cancel, { id: task.id });
              }
            })
        });
      }
    }
  });

  define(CommandIDs.cancel, {
    label: trans.__('Cancel a Task…'),
    caption: trans.__('Stop a running task'),
    icon: stopIcon,
    args: named,
    execute: async args => {
      const running = ({ state }: ITask) => state === 'running';
      const task = await chooseTask(model, args, running, trans);
      if (task) {
        await model.service.cancel(task.id);
      }
    }
  });
}

async function chooseTask(
  model: TasksModel,
  args: ReadonlyPartialJSONObject,
  fits: (task: ITask) => boolean,
  trans: TranslationBundle
): Promise<ITask | undefined> {
  const id = textOf(args.id);
  if (id) {
    return model.service.get(id);
  }
  return choose({
    items: (await model.service.list()).filter(fits),
    label: ({ title, state }) =>
      `${title} (${describeState(state, trans).label})`,
    title: trans.__('Which task?'),
    none: trans.__('No task can be chosen for this command.'),
    trans
  });
}
