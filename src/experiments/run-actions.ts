import type { CommandRegistry } from '@lumino/commands';

import { executor } from '../core';

import { CommandIDs } from './commands';
import type { IRunActions } from './view/actions';

/** Return the actions for a run; each executes a command. */
export function runActions(commands: CommandRegistry): IRunActions {
  const execute = executor(commands);
  return {
    insertCode: ({ run_id }, logged) =>
      execute(CommandIDs.insertRunCode, {
        run_id,
        ...(logged && { model_uri: logged.uri })
      }),
    restore: ({ run_id }) => execute(CommandIDs.restoreNotebook, { run_id }),
    compare: run_ids => execute(CommandIDs.compareRuns, { run_ids }),
    copyLink: ({ run_id }) => execute(CommandIDs.copyRunLink, { run_id }),
    showLineage: ({ run_id }) =>
      execute('genops:open-lineage', { of: `run:${run_id}` }),
    openMlflow: run =>
      execute(
        CommandIDs.openMlflow,
        run && { run_id: run.run_id, experiment_id: run.experiment_id }
      ),
    register: ({ run_id }, { name }) =>
      execute(CommandIDs.registerModel, { run_id, model: name }),
    openNotebook: path => execute('docmanager:open', { path }),
    openProfile: ({ run_id }) => execute(CommandIDs.openProfile, { run_id }),
    insertTrack: () => execute(CommandIDs.insertTrack),
    openTable: () => execute(CommandIDs.openRuns),
    openCharts: () => execute(CommandIDs.openCharts),
    canShowLineage: () => commands.hasCommand('genops:open-lineage'),
    canRegister: () => commands.hasCommand(CommandIDs.registerModel),
    canOpenProfile: () => commands.hasCommand(CommandIDs.openProfile),
    canOpenTable: () => commands.hasCommand(CommandIDs.openRuns),
    canOpenCharts: () => commands.hasCommand(CommandIDs.openCharts)
  };
}
