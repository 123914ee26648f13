import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ILayoutRestorer } from '@jupyterlab/application';
import {
  ICommandPalette,
  MainAreaWidget,
  WidgetTracker
} from '@jupyterlab/apputils';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStateDB } from '@jupyterlab/statedb';

import { IGenOpsCore, experimentIcon } from '../../core';
import { CommandIDs } from '../commands';

import type { RunTableWidget } from './widget';

const PLUGIN_ID = 'genops-lab:runs';
const WIDGET_ID = 'genops-runs';

/**
 * Shows all runs as a table in the main area; its code loads when it is first
 * opened.
 */
export const runTablePlugin: JupyterFrontEndPlugin<void> = {
  id: PLUGIN_ID,
  description: 'Shows all runs as a table in the main area.',
  autoStart: true,
  requires: [IGenOpsCore],
  optional: [ICommandPalette, ILayoutRestorer, ISettingRegistry, IStateDB],
  activate: (
    app: JupyterFrontEnd,
    core: IGenOpsCore,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    settings: ISettingRegistry | null,
    state: IStateDB | null
  ): void => {
    const { commands, shell } = app;
    const { trans } = core;
    const tracker = new WidgetTracker<MainAreaWidget<RunTableWidget>>({
      namespace: WIDGET_ID
    });

    const make = async () => {
      // Starts the process that reads the runs, while the table's code loads.
      // If this fails, the table's own request fails too, and shows the error.
      void core.api.http.GET('/run-table/state').catch(() => undefined);
      const [{ RunTableWidget }, { ViewStore }, { runActions }, views] =
        await Promise.all([
          import('./widget'),
          import('./saved-views'),
          import('../run-actions'),
          // Without its settings the table works, but views cannot be saved.
          settings?.load(PLUGIN_ID).catch(() => null) ?? null
        ]);
      const store = new ViewStore(views, state);
      const content = new RunTableWidget({
        core,
        store,
        runActions: runActions(commands)
      });
      const widget = new MainAreaWidget({ content });
      widget.toolbar.hide();
      widget.id = WIDGET_ID;
      widget.title.label = trans.__('Runs');
      widget.title.caption = trans.__('All runs as a table');
      widget.title.icon = experimentIcon;
      widget.title.closable = true;
      widget.disposed.connect(() => store.dispose());
      return widget;
    };
    // Two callers at once, such as a user and the restorer, get one table.
    let making: ReturnType<typeof make> | null = null;

    commands.addCommand(CommandIDs.openRuns, {
      label: trans.__('Open the Run Table'),
      caption: trans.__('Show all runs as a table: query, sort, tag, delete'),
      icon: experimentIcon,
      describedBy: {
        args: {
          type: 'object',
          properties: {
            run_id: {
              type: 'string',
              description: trans.__('The id of a run whose details are shown')
            },
            query: {
              type: 'string',
              description: trans.__('A query that chooses the runs')
            }
          }
        }
      },
      execute: async args => {
        let widget = tracker.currentWidget;
        if (!widget) {
          making ??= make().finally(() => {
            making = null;
          });
          widget = await making;
        }
        if (!tracker.has(widget)) {
          await tracker.add(widget);
        }
        if (!widget.isAttached) {
          shell.add(widget, 'main');
        }
        shell.activateById(widget.id);
        if (typeof args.run_id === 'string') {
          widget.content.model.open(args.run_id);
        }
        if (typeof args.query === 'string') {
          const { model } = widget.content;
          await model.ready;
          model.setView({
            query: args.query,
            experiments: [],
            lifecycle: 'active'
          });
        }
        return widget;
      }
    });
    palette?.addItem({
      command: CommandIDs.openRuns,
      category: trans.__('GenOps Lab')
    });
    void restorer?.restore(tracker, {
      command: CommandIDs.openRuns,
      name: () => WIDGET_ID
    });
  }
};
