import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ILayoutRestorer } from '@jupyterlab/application';
import {
  ICommandPalette,
  MainAreaWidget,
  WidgetTracker
} from '@jupyterlab/apputils';

import {
  IGenOpsCore,
  choose,
  definer,
  formatMoment,
  profileIcon,
  textArg,
  textOf
} from '../../core';
import { addPerfetto, perfettoOpener } from '../perfetto/command';
// eslint-disable-next-line jupyter/prefer-lazy-imports -- the command asks by it
import { ProfilesService } from '../service';

import type { TimelineWidget } from './widget';

export namespace CommandIDs {
  export const openTimeline = 'genops:profile-timeline';
}

/** Timelines of profiles. */
export const timelinePlugin: JupyterFrontEndPlugin<void> = {
  id: 'genops-lab:profile-timeline',
  description: 'Timelines of profiles.',
  autoStart: true,
  requires: [IGenOpsCore],
  optional: [ICommandPalette, ILayoutRestorer],
  activate: (
    app: JupyterFrontEnd,
    core: IGenOpsCore,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null
  ): void => {
    addCommand(app, core, palette, restorer);
    addPerfetto(app, core, restorer);
  }
};

function addCommand(
  app: JupyterFrontEnd,
  core: IGenOpsCore,
  palette: ICommandPalette | null,
  restorer: ILayoutRestorer | null
): void {
  const { shell } = app;
  const { trans } = core;
  const profiles = new ProfilesService(core.api);
  const tracker = new WidgetTracker<MainAreaWidget<TimelineWidget>>({
    namespace: 'genops-timeline'
  });
  void restorer?.restore(tracker, {
    command: CommandIDs.openTimeline,
    name: ({ id }) => id,
    args: ({ content }) => ({ id: content.profileId })
  });

  const open = async (id: string) => {
    const widgetId = `genops-timeline-${id}`;
    const { TimelineWidget } = await import('./widget');
    let widget = tracker.find(each => each.id === widgetId);
    if (!widget) {
      widget = new MainAreaWidget({
        content: new TimelineWidget(core, id, perfettoOpener(app, id))
      });
      widget.toolbar.hide();
      widget.id = widgetId;
      widget.title.label = trans.__('Timeline');
      widget.title.icon = profileIcon;
      widget.title.closable = true;
      await tracker.add(widget);
      shell.add(widget, 'main');
    }
    shell.activateById(widgetId);
    return widget;
  };

  definer(
    app,
    palette,
    trans
  )(CommandIDs.openTimeline, {
    label: trans.__('Open the Timeline of a Profile…'),
    caption: trans.__('Show which slices ran when, on each thread and stream'),
    icon: profileIcon,
    args: {
      id: textArg(
        trans.__('The id of the profile; a dialog asks when it is missing')
      )
    },
    execute: async args => {
      const id =
        textOf(args.id) ||
        (
          await choose({
            items: (await profiles.list()).filter(
              ({ state }) => state === 'ready'
            ),
            title: trans.__('Choose a profile to open in the timeline'),
            label: profile =>
              `${profile.title} (${formatMoment(profile.created_at)})`,
            none: trans.__('There is no profile to choose.'),
            trans
          })
        )?.id;
      return id ? open(id) : undefined;
    }
  });
}
