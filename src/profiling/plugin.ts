import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ILayoutRestorer } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';

import { IGenOpsCore } from '../core';

import { addCommands } from './commands';
// eslint-disable-next-line jupyter/prefer-lazy-imports -- each command asks by it
import { ProfilesService } from './service';

/** The page "Profiles" and its commands. */
export const profilesPlugin: JupyterFrontEndPlugin<void> = {
  id: 'genops-lab:profiles',
  description: 'Lists profiles; opens, compares and deletes them.',
  autoStart: true,
  requires: [IGenOpsCore],
  optional: [ICommandPalette, ILayoutRestorer, INotebookTracker],
  activate: (
    app: JupyterFrontEnd,
    core: IGenOpsCore,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    notebooks: INotebookTracker | null
  ): void => {
    const service = new ProfilesService(core.api);
    addCommands({ app, core, service, notebooks, palette, restorer });
  }
};
