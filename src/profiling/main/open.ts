/** Open one or two profiles; the code loads when the first one is opened. */
import type { WidgetTracker } from '@jupyterlab/apputils';
import { MainAreaWidget } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';
import type { Widget } from '@lumino/widgets';

import { choose, formatMoment, profileIcon, textOf } from '../../core';
import type { IProfile } from '../service';

import { openRun } from './around';
import { CommandIDs } from './command-ids';
import { ProfileViewModel } from './model';
import type { IOpeningOptions } from './opening';
import { DifferenceWidget, ProfileWidget } from './widget';

type ProfileTracker = WidgetTracker<MainAreaWidget<ProfileWidget>>;
type DifferenceTracker = WidgetTracker<MainAreaWidget<DifferenceWidget>>;

/** Show the profile that the arguments name, or that the user chooses. */
export async function openProfile(
  options: IOpeningOptions,
  tracker: ProfileTracker,
  args: ReadonlyPartialJSONObject
): Promise<Widget | undefined> {
  const { core, service } = options;
  const { trans } = core;
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
  return id ? showProfile(options, tracker, id, textOf(args.tab)) : undefined;
}

async function showProfile(
  { app, core, service, around }: IOpeningOptions,
  tracker: ProfileTracker,
  id: string,
  tab: string
): Promise<Widget> {
  const { trans } = core;
  const widgetId = `genops-profile-${id}`;
  const { places, actions } = await around();
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
}

/** Compare the profiles that the arguments name, or that the user chooses. */
export async function openDifference(
  options: IOpeningOptions,
  tracker: DifferenceTracker,
  args: ReadonlyPartialJSONObject
): Promise<Widget | undefined> {
  const { core, service } = options;
  const { trans } = core;
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
      ? ((await chosen(others(), trans.__('Choose the later profile'), trans))
          ?.id ?? '')
      : '';
  }
  return before && after
    ? showDifference(options, tracker, before, after)
    : undefined;
}

async function showDifference(
  { app, core, service }: IOpeningOptions,
  tracker: DifferenceTracker,
  before: string,
  after: string
): Promise<Widget> {
  const { commands, shell } = app;
  const { trans } = core;
  const id = `genops-profiles-${[before, after].sort().join('-')}`;
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
