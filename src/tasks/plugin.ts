import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';

import { IGenOpsCore } from '../core';

import { CommandIDs, addCommands } from './commands';
// eslint-disable-next-line jupyter/prefer-lazy-imports -- work may be under way when the page is loaded
import { TasksModel } from './model';
import { TaskNotifications } from './notifications';
import { ITaskNotifier } from './tokens';

/** Long work of the server, as notifications with a log one click away. */
export const tasksPlugin: JupyterFrontEndPlugin<ITaskNotifier> = {
  id: 'genops-lab:tasks',
  description: 'Shows long work of GenOps Lab as notifications.',
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
    // What runs already is told once the Lab stands.
    void app.restored.then(() => model.start());
    return notifications;
  }
};
