import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { ICommandPalette } from '@jupyterlab/apputils';
import {
  InputDialog,
  MainAreaWidget,
  Notification
} from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { listIcon, stopIcon } from '@jupyterlab/ui-components';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';
import type { IDisposable } from '@lumino/disposable';
import { DisposableSet } from '@lumino/disposable';

import { ApiError } from '../core';

import type { TasksModel } from './model';
import { describeState } from './model';
import type { ITask } from './service';
import { TaskLogView } from './view/log';

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

/** Add the commands of long tasks. @returns what takes them away. */
export function addCommands(options: ICommandsOptions): IDisposable {
  const { app, model, trans, palette } = options;
  const { commands, shell } = app;
  const added = new DisposableSet();
  const open = new Map<string, MainAreaWidget>();
  const describedBy = {
    args: {
      type: 'object',
      properties: {
        id: {
          type: 'string',
          description: trans.__('The id of the task; asked when missing')
        }
      }
    }
  };

  const reported =
    (work: (args: ReadonlyPartialJSONObject) => Promise<unknown>) =>
    async (args: ReadonlyPartialJSONObject) => {
      try {
        await work(args);
      } catch (reason) {
        const error = ApiError.from(reason, trans);
        Notification.error(`${error.message} ${error.hint}`.trim());
      }
    };

  const show = (task: ITask): MainAreaWidget => {
    const widget = new MainAreaWidget({
      content: new TaskLogView({
        log: model.log(task.id),
        trans,
        onCancel: () => {
          void commands.execute(CommandIDs.cancel, { id: task.id });
        }
      })
    });
    widget.id = `genops-task-${task.id}`;
    widget.title.label = trans.__('Log: %1', task.title);
    widget.title.icon = listIcon;
    widget.title.closable = true;
    open.set(task.id, widget);
    widget.disposed.connect(() => open.delete(task.id), model);
    shell.add(widget, 'main', { mode: 'split-bottom' });
    return widget;
  };

  added.add(
    commands.addCommand(CommandIDs.showLog, {
      label: trans.__('Show the Log of a Task…'),
      caption: trans.__('Show what a deployment or another long task wrote'),
      icon: listIcon,
      describedBy,
      execute: reported(async args => {
        const task = await choose(model, args, () => true, trans);
        if (task) {
          shell.activateById((open.get(task.id) ?? show(task)).id);
        }
      })
    })
  );

  added.add(
    commands.addCommand(CommandIDs.cancel, {
      label: trans.__('Cancel a Task…'),
      caption: trans.__('Stop long work that is going on'),
      icon: stopIcon,
      describedBy,
      execute: reported(async args => {
        const running = ({ state }: ITask) => state === 'running';
        const task = await choose(model, args, running, trans);
        if (task) {
          await model.service.cancel(task.id);
        }
      })
    })
  );

  for (const command of Object.values(CommandIDs)) {
    const item = palette?.addItem({
      command,
      category: trans.__('GenOps Lab')
    });
    if (item) {
      added.add(item);
    }
  }
  return added;
}

async function choose(
  model: TasksModel,
  args: ReadonlyPartialJSONObject,
  fits: (task: ITask) => boolean,
  trans: TranslationBundle
): Promise<ITask | undefined> {
  if (typeof args.id === 'string' && args.id) {
    return model.service.get(args.id);
  }
  const tasks = (await model.service.list()).filter(fits);
  if (tasks.length === 0) {
    Notification.info(trans.__('There is no such task.'));
    return undefined;
  }
  const labels = tasks.map(
    (task, index) =>
      `${index + 1}. ${task.title} (${describeState(task.state, trans).label})`
  );
  const { button, value } = await InputDialog.getItem({
    title: trans.__('Which task?'),
    items: labels,
    okLabel: trans.__('Choose')
  });
  return button.accept && value !== null
    ? tasks[labels.indexOf(value)]
    : undefined;
}
