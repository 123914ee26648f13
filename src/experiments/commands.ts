import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { ICommandPalette } from '@jupyterlab/apputils';
import { Clipboard, Notification } from '@jupyterlab/apputils';
import type { INotebookTracker } from '@jupyterlab/notebook';
import type { Contents } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import { addIcon, copyIcon, undoIcon } from '@jupyterlab/ui-components';

import { ApiError, experimentIcon } from '../core';
import { LOAD_EXTENSION, insertCells } from '../core/notebook';
import type { IGenOpsPanel } from '../panel';

import type { ExperimentsModel } from './model';
import type { ExperimentsService } from './service';

export namespace CommandIDs {
  export const openExperiments = 'genops:open-experiments';
  export const insertTrack = 'genops:insert-track';
  export const insertRunCode = 'genops:insert-run-code';
  export const restoreNotebook = 'genops:restore-notebook';
  export const copyRunId = 'genops:copy-run-id';
  export const copyRunLink = 'genops:copy-run-link';
  export const openMlflow = 'genops:open-mlflow';
  export const openLinkedRun = 'genops:open-linked-run';
  /** Of the comparison. */
  export const compareRuns = 'genops:compare-runs';
  /** Of the run table. */
  export const openRuns = 'genops:open-runs';
  /** Of the charts. */
  export const openCharts = 'genops:open-charts';
  /** Of the profiling feature. */
  export const openProfile = 'genops:open-profile';
  /** Of the registry feature. */
  export const registerModel = 'genops:register-model';
}

const TRACK_CELL = `%%track --name my-run --experiment my-experiment
import genops

learning_rate = 0.1
loss = 1.0
for step in range(100):
    loss *= 1 - learning_rate
    genops.log({"loss": loss}, step=step)`;

/** Add the commands of the experiments feature to the palette. */
export function addCommands(options: {
  commands: JupyterFrontEnd['commands'];
  palette: ICommandPalette | null;
  notebooks: INotebookTracker | null;
  panel: IGenOpsPanel;
  model: Pick<ExperimentsModel, 'opened'>;
  service: Pick<ExperimentsService, 'restoredNotebook'>;
  contents: Contents.IManager;
  trans: TranslationBundle;
}): void {
  const { commands, palette, notebooks, panel, model, trans } = options;
  const { service, contents } = options;
  const runId = (args: { run_id?: unknown }): string | null =>
    typeof args.run_id === 'string' ? args.run_id : model.opened;
  const runArgs = {
    run_id: {
      type: 'string',
      description: trans.__('The id of the run; default: the open run')
    }
  };

  commands.addCommand(CommandIDs.openExperiments, {
    label: trans.__('Show Runs'),
    caption: trans.__('Show experiments and their runs in the panel'),
    icon: experimentIcon,
    describedBy: { args: { type: 'object', properties: {} } },
    execute: () => panel.open('experiments')
  });
  commands.addCommand(CommandIDs.insertTrack, {
    label: trans.__('Insert a %1 Cell', '%%track'),
    caption: trans.__('Insert a starter cell that is tracked as a run'),
    icon: addIcon,
    describedBy: { args: { type: 'object', properties: {} } },
    execute: async () => {
      await insertCells([LOAD_EXTENSION, TRACK_CELL], { notebooks, commands });
    }
  });
  commands.addCommand(CommandIDs.insertRunCode, {
    label: trans.__('Insert Code to Load the Run'),
    caption: trans.__(
      'Insert code that loads the open run, or a model that it logged'
    ),
    icon: addIcon,
    describedBy: {
      args: {
        type: 'object',
        properties: {
          ...runArgs,
          model_uri: {
            type: 'string',
            description: trans.__('The URI of a model to load instead')
          }
        }
      }
    },
    isEnabled: args => runId(args) !== null,
    execute: async args => {
      const code =
        typeof args.model_uri === 'string'
          ? loadModel(args.model_uri)
          : loadRun(runId(args) ?? '');
      await insertCells([LOAD_EXTENSION, code], { notebooks, commands });
    }
  });
  commands.addCommand(CommandIDs.restoreNotebook, {
    label: trans.__('Restore the Notebook of the Run'),
    caption: trans.__(
      'Make a new notebook with exactly the cells that ran for the open run'
    ),
    icon: undoIcon,
    describedBy: { args: { type: 'object', properties: runArgs } },
    isEnabled: args => runId(args) !== null,
    execute: async args => {
      try {
        const { folderOf, tellRestored, writeRestored } =
          await import('./restoring');
        const restored = await service.restoredNotebook(runId(args) ?? '');
        const path = await writeRestored(
          contents,
          restored,
          folderOf(notebooks, contents)
        );
        await commands.execute('docmanager:open', { path });
        tellRestored(restored, path, trans);
      } catch (reason) {
        const error = ApiError.from(reason, trans);
        Notification.error(`${error.message} ${error.hint}`.trim());
      }
    }
  });
  commands.addCommand(CommandIDs.copyRunId, {
    label: trans.__('Copy the Run Id'),
    caption: trans.__('Copy the id of the open run'),
    icon: copyIcon,
    describedBy: { args: { type: 'object', properties: runArgs } },
    isEnabled: args => runId(args) !== null,
    execute: args => Clipboard.copyToSystem(runId(args) ?? '')
  });
  for (const command of [
    CommandIDs.openExperiments,
    CommandIDs.insertTrack,
    CommandIDs.insertRunCode,
    CommandIDs.restoreNotebook,
    CommandIDs.copyRunId
  ]) {
    palette?.addItem({ command, category: trans.__('GenOps Lab') });
  }
}

function loadRun(runId: string): string {
  return `import mlflow

run = mlflow.get_run(${JSON.stringify(runId)})
run.data.metrics`;
}

function loadModel(uri: string): string {
  return `import mlflow

model = mlflow.pyfunc.load_model(${JSON.stringify(uri)})`;
}
