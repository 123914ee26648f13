import type { ILayoutRestorer, JupyterFrontEnd } from '@jupyterlab/application';
import type { ICommandPalette } from '@jupyterlab/apputils';
import type { INotebookTracker } from '@jupyterlab/notebook';
import { addIcon, deleteIcon } from '@jupyterlab/ui-components';

import type { IGenOpsCore } from '../core';
import { definer, profileIcon, textArg, textOf } from '../core';
import { Pages } from '../core/pages';

import type { ProfilesService } from './service';

export namespace CommandIDs {
  export const openProfiles = 'genops:open-profiles';
  export const insert = 'genops:insert-profile-cell';
  export const remove = 'genops:delete-profile';
}

export interface ICommandsOptions {
  app: JupyterFrontEnd;
  core: IGenOpsCore;
  service: ProfilesService;
  notebooks: INotebookTracker | null;
  palette: ICommandPalette | null;
  restorer: ILayoutRestorer | null;
}

/** Add the commands of profiles. */
export function addCommands(options: ICommandsOptions): void {
  const { app, core, service, notebooks, palette, restorer } = options;
  const { commands } = app;
  const { trans } = core;
  const define = definer(app, palette, trans);

  const pages = new Pages(app, {
    namespace: 'genops-profiles',
    command: CommandIDs.openProfiles,
    restorer
  });
  define(CommandIDs.openProfiles, {
    label: trans.__('Open Profiles'),
    caption: trans.__('Show all profiles; open, compare and delete them'),
    icon: profileIcon,
    args: {},
    execute: () =>
      pages.open('genops-profiles', async () => {
        const { profilesPage } = await import('./view/page');
        return profilesPage({ commands, core, service });
      })
  });

  define(CommandIDs.insert, {
    label: trans.__('Insert a Cell That Profiles'),
    caption: trans.__(
      'Insert a cell with %1 below the active cell, to profile a training loop',
      '%%profile'
    ),
    icon: addIcon,
    args: {},
    execute: async () => {
      const { insertProfileCell } = await import('./inserting');
      await insertProfileCell(commands, notebooks, trans);
    }
  });

  define(CommandIDs.remove, {
    label: trans.__('Delete a Profile…'),
    caption: trans.__('Delete a profile and its trace'),
    icon: deleteIcon,
    args: {
      id: textArg(
        trans.__('The id of the profile; a dialog asks when it is missing')
      )
    },
    execute: async args => {
      const { deleteProfile } = await import('./deleting');
      await deleteProfile(service, textOf(args.id), trans);
    }
  });
}
