import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { ICommandPalette } from '@jupyterlab/apputils';
import { Notification } from '@jupyterlab/apputils';
import type { INotebookTracker } from '@jupyterlab/notebook';

import type { IGenOpsCore } from '../../../core';
import { definer, profileIcon, textArg, textOf } from '../../../core';
import type { ILineTime, IProfile, ProfilesService } from '../../service';
import { CommandIDs } from '../command-ids';

import type { ShownTimes } from './shown-times';

/** Add the command that shows or hides line times in a notebook. */
export function addGutterCommand(options: {
  app: JupyterFrontEnd;
  core: IGenOpsCore;
  service: ProfilesService;
  palette: ICommandPalette | null;
  notebooks: INotebookTracker | null;
}): void {
  const { app, core, service, palette, notebooks } = options;
  const { trans } = core;
  if (!notebooks) {
    return;
  }
  let shown: ShownTimes | null = null;
  const hide = () => {
    shown?.dispose();
    shown = null;
    app.commands.notifyCommandChanged(CommandIDs.toggleLineTimes);
  };

  definer(
    app,
    palette,
    trans
  )(CommandIDs.toggleLineTimes, {
    label: trans.__('Show Line Times in the Notebook'),
    caption: trans.__(
      'Show or hide the device time of each line, from the newest profile of the notebook'
    ),
    icon: profileIcon,
    args: {
      id: textArg(
        trans.__(
          'The id of the profile; the default is the newest profile of the active notebook'
        )
      )
    },
    execute: async args => {
      const id = textOf(args.id);
      if (shown && (!id || id === shown.profileId)) {
        hide();
        return;
      }
      const profile = await profileOf(service, id, notebooks);
      const lines = cellLines(profile);
      if (!profile || lines.length === 0) {
        Notification.info(
          trans.__('No profile of this notebook has times by line.')
        );
        return;
      }
      if (!notebooks.find(each => each.context.path === profile.notebook)) {
        await app.commands.execute('docmanager:open', {
          path: profile.notebook
        });
      }
      const panel = notebooks.find(
        each => each.context.path === profile.notebook
      );
      if (!panel) {
        return;
      }
      await panel.context.ready;
      hide();
      const [{ Gutters }, { ShownTimes }] = await Promise.all([
        import('./gutter'),
        import('./shown-times')
      ]);
      const times = new ShownTimes(
        panel,
        profile.id,
        lines,
        new Gutters(),
        trans
      );
      shown = times;
      panel.disposed.connect(() => {
        if (shown === times) {
          hide();
        }
      });
      app.shell.activateById(panel.id);
    }
  });
}

async function profileOf(
  service: ProfilesService,
  id: string,
  notebooks: INotebookTracker
): Promise<IProfile | undefined> {
  if (id) {
    return service.get(id);
  }
  const path = notebooks.currentWidget?.context.path;
  const newest = (await service.list()).find(
    ({ notebook, state }) => notebook === path && state === 'ready'
  );
  return newest && service.get(newest.id);
}

function cellLines(profile: IProfile | undefined): ILineTime[] {
  return (
    profile?.summary?.attribution?.lines.filter(({ place }) => place.cell) ?? []
  );
}
