import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { INotebookTracker } from '@jupyterlab/notebook';

import type { IGenOpsCore } from '../../core';
import { insertCells } from '../../core/notebook';
import { CommandIDs as RunCommands } from '../../experiments/commands';
import { perfettoOpener } from '../perfetto/command';
import { TraceFetch } from '../trace/model';

import { CommandIDs } from './command-ids';
import { tableCode } from './notebook-code';
import type { IPlaces } from './places';
import { Places } from './places';
import type { ProfileView } from './profile-view';

interface IOptions {
  app: JupyterFrontEnd;
  core: IGenOpsCore;
  notebooks: INotebookTracker | null;
}

/** What views of profiles use of the Lab around them. */
export interface IAround {
  readonly places: IPlaces;
  readonly actions: ProfileView.IActions;
}

export function aroundProfiles(options: IOptions): IAround {
  const { app, core, notebooks } = options;
  return {
    places: new Places(app, notebooks, core.trans),
    actions: profileActions(options)
  };
}

/** Actions of a profile's view elsewhere in the Lab. */
function profileActions(options: IOptions): ProfileView.IActions {
  const { app, core, notebooks } = options;
  const { commands } = app;
  return {
    openRun: runId => openRun(app, runId),
    openPerfetto: ({ id }, asked) => perfettoOpener(app, id)(asked),
    compareWith: ({ id }) =>
      void commands.execute(CommandIDs.compareProfiles, { after: id }),
    traceFetch: ({ id }) => new TraceFetch(core, id),
    toggleGutter: ({ id }) =>
      void commands.execute(CommandIDs.toggleLineTimes, { id }),
    canInsertTable: profile => tableCode(profile, 'operators') !== null,
    insertTable: (profile, field) => {
      const code = tableCode(profile, field);
      if (code !== null) {
        void insertCells([code], { notebooks, commands }).then(panel =>
          app.shell.activateById(panel.id)
        );
      }
    }
  };
}

/** Show a run in the run table. */
export function openRun({ commands }: JupyterFrontEnd, runId: string): void {
  void commands.execute(RunCommands.openRuns, { run_id: runId });
}
