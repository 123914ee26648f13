import type { ILayoutRestorer, JupyterFrontEnd } from '@jupyterlab/application';
import type { ICommandPalette } from '@jupyterlab/apputils';
import { MainAreaWidget, WidgetTracker } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Widget } from '@lumino/widgets';

import type { IGenOpsCore } from '../../core';
import {
  choose,
  definer,
  formatMoment,
  profileIcon,
  textArg,
  textOf
} from '../../core';
import { CommandIDs as RunCommands } from '../../experiments/commands';
import type { IProfile, ProfilesService } from '../service';

import { CommandIDs } from './command-ids';
import type { IAround } from './around';
import type { DifferenceWidget, ProfileWidget } from './widget';

interface IOptions {
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
export function addOpening(options: IOptions): void {
  addProfiles(options);
  addDifferences(options);
}

function addProfiles(options: IOptions): void {
  const { app, core, service, palette, restorer, around } = options;
  const { trans } = core;
  const tracker = new WidgetTracker<MainAreaWidget<ProfileWidget>>({
    namespace: 'genops-profile'
  });
  void restorer?.restore(tracker, {
    command: CommandIDs.openProfile,
    name: ({ id }) => id,
    args: ({ content: { model } }) => ({ id: model.id, tab: model.tab })
  });

  const open = async (id: string, tab: string) => {
    const widgetId = `genops-profile-${id}`;
    const [{ ProfileWidget }, { ProfileViewModel }, { places, actions }] =
      await Promise.all([import('./widget'), import('./model'), around()]);
    let widget = tracker.find(each => each.id === widgetId);
    if (!widget) {
      const model = new ProfileViewModel({
        id,
        service,
        events: core.events,
        trans,
        tab
      });
      widget = inMainArea(
        new ProfileWidget(model, { places, actions, api: core.api, trans }),
        widgetId,
        trans.__('Profile')
      );
      const made = widget;
      model.profile.changed.connect((_, { value }) => {
        if (value) {
          made.title.label = value.title;
          made.title.caption = trans.__('Profile “%1”', value.title);
        }
      });
      model.changed.connect(() => void tracker.save(made));
      await tracker.add(widget);
      app.shell.add(widget, 'main');
    } else if (tab) {
      widget.content.model.tab = tab;
    }
    app.shell.activateById(widgetId);
    return widget;
  };

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
    execute: async args => {
      const path = textOf(args.path);
      let id: string | undefined = textOf(args.id);
      if (!id && path) {
        const { TimelineService } = await import('../timeline/service');
        ({ id } = await new TimelineService(core.api).open(path));
      }
      if (!id) {
        const runId = textOf(args.run_id);
        const found = ofRun(await service.list(), runId);
        const only = runId && found.length === 1 ? found[0] : undefined;
        const title = trans.__('Choose a profile to open');
        id = (only ?? (await chosen(found, title, trans)))?.id;
      }
      return id ? open(id, textOf(args.tab)) : undefined;
    }
  });
}

function addDifferences(options: IOptions): void {
  const { app, core, service, palette, restorer } = options;
  const { commands, shell } = app;
  const { trans } = core;
  const tracker = new WidgetTracker<MainAreaWidget<DifferenceWidget>>({
    namespace: 'genops-profile-difference'
  });
  void restorer?.restore(tracker, {
    command: CommandIDs.compareProfiles,
    name: ({ id }) => id,
    args: ({ content: { before, after } }) => ({ before, after })
  });

  const open = async (before: string, after: string) => {
    const id = `genops-profiles-${[before, after].sort().join('-')}`;
    const { DifferenceWidget } = await import('./widget');
    let widget = tracker.find(each => each.id === id);
    if (!widget) {
      widget = inMainArea(
        new DifferenceWidget({
          service,
          before,
          after,
          onOpen: profileId =>
            void commands.execute(CommandIDs.openProfile, { id: profileId }),
          onOpenRun: runId => openRun(app, runId),
          onSwapped: () => void tracker.save(made),
          trans
        }),
        id,
        trans.__('Compared profiles')
      );
      const made = widget;
      await tracker.add(widget);
      shell.add(widget, 'main');
    }
    shell.activateById(id);
    return widget;
  };

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
    execute: async args => {
      let before = textOf(args.before);
      let after = textOf(args.after);
      if (!before || !after) {
        const ready = (await service.list()).filter(
          ({ state }) => state === 'ready'
        );
        before ||= ofRun(ready, textOf(args.before_run), true)[0]?.id ?? '';
        after ||= ofRun(ready, textOf(args.after_run), true)[0]?.id ?? '';
        const others = () =>
          ready.filter(({ id }) => id !== before && id !== after);
        before ||=
          (
            await chosen(
              others(),
              after
                ? trans.__('Compare with')
                : trans.__('Choose the earlier profile'),
              trans
            )
          )?.id ?? '';
        after ||= before
          ? ((
              await chosen(
                others(),
                trans.__('Choose the later profile'),
                trans
              )
            )?.id ?? '')
          : '';
      }
      return before && after ? open(before, after) : undefined;
    }
  });
}

/** Show a run in the run table. */
export function openRun({ commands }: JupyterFrontEnd, runId: string): void {
  void commands.execute(RunCommands.openRuns, { run_id: runId });
}

function inMainArea<T extends Widget>(
  content: T,
  id: string,
  label: string
): MainAreaWidget<T> {
  const widget = new MainAreaWidget<T>({ content });
  widget.toolbar.hide();
  widget.id = id;
  widget.title.label = label;
  widget.title.icon = profileIcon;
  widget.title.closable = true;
  return widget;
}

/**
 * The profiles of a run, newest first; without a run all profiles, or none if a
 * run is needed.
 */
function ofRun(
  profiles: IProfile[],
  runId: string,
  needed = false
): IProfile[] {
  return profiles.filter(({ run_id }) => (runId ? run_id === runId : !needed));
}

function chosen(
  items: readonly IProfile[],
  title: string,
  trans: TranslationBundle
): Promise<IProfile | undefined> {
  return choose({
    items,
    title,
    label: profile => `${profile.title} (${formatMoment(profile.created_at)})`,
    none: trans.__('There is no profile to choose.'),
    trans
  });
}
