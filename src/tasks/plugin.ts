import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';

import { IGenOpsCore } from '../core';

import { CommandIDs, addCommands } from './commands';
import { TasksModel } from './model';
import { TaskNotifications } from './notifications';
import { ITaskNotifier } from './tokens';

/** Show the server's tasks as notifications with a button for the log. */
export const tasksPlugin: JupyterFrontEndPlugin<ITaskNotifier> = {
  id: 'genops-lab:tasks',
  description: 'Shows the tasks of GenOps Lab as notifications.',
  autoStart: true,
  provides: ITaskNotifier,
  requires: [IGenOpsCore],
  optional: [ICommandPalette],
  activate: (
    app: JupyterFrontEnd,
    core: IGenOpsCore,
    palette: ICommandPalette | null
  ): ITaskNotifier => {
    const { trans } = core;
    const model = new TasksModel(core);
    addCommands({ app, model, trans, palette });
    const execute = (command: string, id: string) => {
      void app.commands.execute(command, { id });
    };
    const notifications = new TaskNotifications({
      model,
      trans,
      onLog: id => execute(CommandIDs.showLog, id),
      onCancel: id => execute(CommandIDs.cancel, id)
    });
    // Running tasks appear once JupyterLab has restored its layout.
    void app.restored.then(() => model.start());
    return notifications;
  }
};
