import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { ICommandPalette } from '@jupyterlab/apputils';
import { Clipboard, Notification } from '@jupyterlab/apputils';
import { PathExt } from '@jupyterlab/coreutils';
import type { INotebookTracker } from '@jupyterlab/notebook';
import type { Contents } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import { addIcon, copyIcon, undoIcon } from '@jupyterlab/ui-components';
import { ServerConnection } from '@jupyterlab/services';

import { ApiError, experimentIcon } from '../core';
import { LOAD_EXTENSION, insertCells } from '../core/notebook';
import type { IGenOpsPanel } from '../panel';

import type { ExperimentsModel } from './model';
import type { ExperimentsService, IRestoredNotebook } from './service';

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
  model: ExperimentsModel;
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

/** The folder of the open notebook, else the root of the Lab's files. */
function folderOf(
  notebooks: INotebookTracker | null,
  contents: Contents.IManager
): string {
  const path = notebooks?.currentWidget?.context.path ?? '';
  return PathExt.dirname(contents.localPath(path));
}

function tellRestored(
  { redacted = {} }: IRestoredNotebook,
  path: string,
  trans: TranslationBundle
): void {
  const marks = Object.values(redacted).reduce((sum, one) => sum + one, 0);
  const name = PathExt.basename(path);
  if (marks) {
    Notification.warning(
      trans._n(
        '%2 is restored. A mark replaces %1 secret.',
        '%2 is restored. Marks replace %1 secrets.',
        marks,
        name
      ),
      { autoClose: false } // it stays until it is read
    );
  } else {
    Notification.success(trans.__('%1 is restored.', name), {
      autoClose: 5000
    });
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

/**
 * Attempts to find a free name; after them the notebook keeps Jupyter's own
 * name.
 */
const TRIES = 20;
const TAKEN = 409;

/**
 * Write a restored notebook into a folder of the Lab under a free name, and
 * return its path.
 *
 * All goes through the contents API, so that the notebook lands wherever the
 * Lab has its files. A new file is made first and then renamed: neither
 * overwrites another file, as a plain save would.
 */
export async function writeRestored(
  contents: Pick<Contents.IManager, 'newUntitled' | 'save' | 'rename'>,
  restored: IRestoredNotebook,
  folder: string
): Promise<string> {
  const made = await contents.newUntitled({ path: folder, type: 'notebook' });
  await contents.save(made.path, {
    type: 'notebook',
    format: 'json',
    content: restored.notebook
  });
  const parent = PathExt.dirname(made.path);
  for (let number = 0; number < TRIES; number++) {
    const wanted = PathExt.join(parent, numbered(restored.name, number));
    try {
      return (await contents.rename(made.path, wanted)).path;
    } catch (error) {
      const taken =
        error instanceof ServerConnection.ResponseError &&
        error.response.status === TAKEN;
      if (!taken) {
        break;
      }
    }
  }
  return made.path;
}

function numbered(name: string, number: number): string {
  const ending = PathExt.extname(name);
  const stem = name.slice(0, name.length - ending.length);
  return number === 0 ? name : `${stem}-${number}${ending}`;
}
