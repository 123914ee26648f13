import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ILayoutRestorer } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';

import { IGenOpsCore, once } from '../../core';
// eslint-disable-next-line jupyter/prefer-lazy-imports -- each command asks by it
import { ProfilesService } from '../service';

// eslint-disable-next-line jupyter/prefer-lazy-imports -- it registers file types
import { addFiles } from './files';
import { addGutterCommand } from './lines/gutter-command';
// eslint-disable-next-line jupyter/prefer-lazy-imports -- it registers commands
import { addOpening } from './opening';
import { followSummaryLinks } from './summary-links';

/** Profiles in the main area; their code loads when the first is opened. */
export const profileViewsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'genops-lab:profile-views',
  description:
    'Profiles in the main area, also of traces in the file browser, and line times in notebooks.',
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
    const shared = { app, core, service, palette, notebooks };
    const around = once(async () => {
      const { aroundProfiles } = await import('./around');
      return aroundProfiles(shared);
    });
    addOpening({ ...shared, restorer, around });
    addFiles({ app, core, service, restorer, around });
    addGutterCommand(shared);
    followSummaryLinks(app.commands);
  }
};
