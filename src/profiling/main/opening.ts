import type { ILayoutRestorer, JupyterFrontEnd } from '@jupyterlab/application';
import type { ICommandPalette, MainAreaWidget } from '@jupyterlab/apputils';
import { WidgetTracker } from '@jupyterlab/apputils';

import type { IGenOpsCore } from '../../core';
import { definer, profileIcon, textArg } from '../../core';
import type { ProfilesService } from '../service';

import { CommandIDs } from './command-ids';
import type { IAround } from './around';
import type { DifferenceWidget, ProfileWidget } from './widget';

export interface IOpeningOptions {
  app: JupyterFrontEnd;
  core: IGenOpsCore;
  service: ProfilesService;
  palette: ICommandPalette | null;
  restorer: ILayoutRestorer | null;
  around: () => Promise<IAround>;
}

/**
 * Add commands that open one or two profiles, and restore their views after a
 * reload.
 */
export function addOpening(options: IOpeningOptions): void {
  addProfiles(options);
  addDifferences(options);
}

function addProfiles(options: IOpeningOptions): void {
  const { app, core, palette, restorer } = options;
  const { trans } = core;
  const tracker = new WidgetTracker<MainAreaWidget<ProfileWidget>>({
    namespace: 'genops-profile'
  });
  void restorer?.restore(tracker, {
    command: CommandIDs.openProfile,
    name: ({ id }) => id,
    args: ({ content: { model } }) => ({ id: model.id, tab: model.tab })
  });

  definer(
    app,
    palette,
    trans
  )(CommandIDs.openProfile, {
    label: trans.__('Open a Profile…'),
    caption: trans.__('Show where the time of a profile was spent'),
    icon: profileIcon,
    args: {
      id: textArg(
        trans.__('The id of the profile; a dialog asks when it is missing')
      ),
      path: textArg(
        trans.__(
          'A trace in the Lab, or a folder with the traces of all ranks, instead of an id'
        )
      ),
      run_id: textArg(trans.__('The run whose profiles the dialog offers')),
      tab: textArg(
        trans.__(
          'The view: overview, lines, tables, flame, timeline or measured; the default is the first'
        )
      )
    },
    execute: async args =>
      (await import('./open')).openProfile(options, tracker, args)
  });
}

function addDifferences(options: IOpeningOptions): void {
  const { app, core, palette, restorer } = options;
  const { trans } = core;
  const tracker = new WidgetTracker<MainAreaWidget<DifferenceWidget>>({
    namespace: 'genops-profile-difference'
  });
  void restorer?.restore(tracker, {
    command: CommandIDs.compareProfiles,
    name: ({ id }) => id,
    args: ({ content: { before, after } }) => ({ before, after })
  });

  definer(
    app,
    palette,
    trans
  )(CommandIDs.compareProfiles, {
    label: trans.__('Compare Profiles…'),
    caption: trans.__('Show the difference between two profiles'),
    icon: profileIcon,
    args: {
      before: textArg(
        trans.__(
          'The id of the earlier profile; a dialog asks when it is missing'
        )
      ),
      after: textArg(
        trans.__(
          'The id of the later profile; a dialog asks when it is missing'
        )
      ),
      before_run: textArg(
        trans.__('A run; its newest profile is the earlier one')
      ),
      after_run: textArg(trans.__('A run; its newest profile is the later one'))
    },
    execute: async args =>
      (await import('./open')).openDifference(options, tracker, args)
  });
}
