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
import { INotebookTracker } from '@jupyterlab/notebook';
import { IStateDB } from '@jupyterlab/statedb';

import { IGenOpsCore, experimentIcon } from '../../core';
import { insertCells } from '../../core/notebook';
import { CommandIDs } from '../commands';
import type { RunTableWidget } from '../table/widget';

import type { ChartsWidget } from './widget';

const WIDGET_ID = 'genops-charts';

/**
 * Shows charts of the run table's runs in the main area; their code loads when
 * they are first opened.
 */
export const chartsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'genops-lab:charts',
  description: 'Shows charts of the runs in the run table.',
  autoStart: true,
  requires: [IGenOpsCore],
  optional: [ICommandPalette, ILayoutRestorer, INotebookTracker, IStateDB],
  activate: (
    app: JupyterFrontEnd,
    core: IGenOpsCore,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    notebooks: INotebookTracker | null,
    state: IStateDB | null
  ): void => {
    const { commands, shell } = app;
    const { trans } = core;
    const tracker = new WidgetTracker<MainAreaWidget<ChartsWidget>>({
      namespace: WIDGET_ID
    });

    const make = async () => {
      const [{ ChartsWidget }, table] = await Promise.all([
        import('./widget'),
        // Charts show the table's runs, so the table stays open with them.
        commands.execute(CommandIDs.openRuns) as Promise<
          MainAreaWidget<RunTableWidget>
        >
      ]);
      const { model } = table.content;
      const content = new ChartsWidget({
        core,
        table: model,
        state,
        onOpen: runId => {
          model.open(runId);
          shell.activateById(table.id);
        },
        onInsert: async code => {
          const panel = await insertCells([code], { notebooks, commands });
          // It may be behind the charts.
          shell.activateById(panel.id);
        }
      });
      const widget = new MainAreaWidget({ content });
      widget.toolbar.hide();
      widget.id = WIDGET_ID;
      widget.title.label = trans.__('Charts');
      widget.title.caption = trans.__('Charts of the runs in the run table');
      widget.title.icon = experimentIcon;
      widget.title.closable = true;
      table.disposed.connect(() => widget.dispose());
      return { widget, table };
    };
    // Two callers at once, such as a user and the restorer, get one view.
    let making: ReturnType<typeof make> | null = null;

    commands.addCommand(CommandIDs.openCharts, {
      label: trans.__('Open Charts of Runs'),
      caption: trans.__(
        'Show curves and other charts of the runs in the run table'
      ),
      icon: experimentIcon,
      describedBy: { args: { type: 'object', properties: {} } },
      execute: async () => {
        let widget = tracker.currentWidget;
        if (!widget) {
          making ??= make().finally(() => {
            making = null;
          });
          const made = await making;
          ({ widget } = made);
          if (!widget.isAttached) {
            shell.add(widget, 'main', {
              mode: 'split-top',
              ref: made.table.id
            });
          }
        }
        if (!tracker.has(widget)) {
          await tracker.add(widget);
        }
        shell.activateById(widget.id);
        return widget;
      }
    });
    palette?.addItem({
      command: CommandIDs.openCharts,
      category: trans.__('GenOps Lab')
    });
    void restorer?.restore(tracker, {
      command: CommandIDs.openCharts,
      name: () => WIDGET_ID
    });
  }
};
