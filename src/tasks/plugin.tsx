import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import * as React from 'react';

import { IGenOpsCore, activityIcon } from '../core';
import { IGenOpsPanel, SectionRank } from '../panel';

import { CommandIDs, addCommands } from './commands';
// eslint-disable-next-line jupyter/prefer-lazy-imports -- tasks may run when the page loads
import { TasksModel, isRunning } from './model';
import { TaskNotifications } from './notifications';
import { ITaskNotifier } from './tokens';

/** Show the server's tasks: in their section, and as notifications with a button for the log. */
export const tasksPlugin: JupyterFrontEndPlugin<ITaskNotifier> = {
  id: 'genops-lab:tasks',
  description:
    'Shows the tasks of GenOps Lab in the panel and as notifications.',
  autoStart: true,
  provides: ITaskNotifier,
  requires: [IGenOpsCore, IGenOpsPanel],
  optional: [ICommandPalette],
  activate: (
    app: JupyterFrontEnd,
    core: IGenOpsCore,
    panel: IGenOpsPanel,
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
    const list = model.list();
    const section = panel.addSection({
      id: 'activity',
      title: trans.__('Background tasks'),
      caption: trans.__(
        'Progress and results of deployments, downloads and builds'
      ),
      rank: SectionRank.activity,
      icon: activityIcon,
      render: async () => {
        const { ActivityView } = await import('./view/activity');
        return (
          <ActivityView
            tasks={list}
            attention={panel.attention}
            trans={trans}
            onLog={id => execute(CommandIDs.showLog, id)}
            onCancel={id => execute(CommandIDs.cancel, id)}
          />
        );
      }
    });
    // The count is of work that goes on and of what needs a person, also while the section is closed.
    const count = () => {
      const running = (list.value ?? []).filter(isRunning).length;
      const waiting = panel.attention.items.length;
      section.setCount(
        running + waiting,
        trans.__('%1 running, %2 waiting for you', running, waiting)
      );
    };
    list.changed.connect(count);
    panel.attention.changed.connect(count);
    list.visible = panel.isSeen;
    panel.seenChanged.connect((_, seen) => {
      list.visible = seen;
    });
    // Running tasks appear once JupyterLab has restored its layout.
    void app.restored.then(() => model.start());
    return notifications;
  }
};
