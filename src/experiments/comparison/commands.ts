import type { ILayoutRestorer, JupyterFrontEnd } from '@jupyterlab/application';
import type { ICommandPalette } from '@jupyterlab/apputils';
import {
  InputDialog,
  MainAreaWidget,
  Notification,
  WidgetTracker
} from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import type { GenOpsEvents } from '../../core';
import { ApiError, experimentIcon, titled } from '../../core';
import type { MediaService } from '../media/service';

import type { ComparisonService, IRun } from './service';
import { CommandIDs as ProfileCommands } from '../../profiling/main/command-ids';
import type { ComparisonView } from './view/comparison';

export namespace CommandIDs {
  export const compareRuns = 'genops:compare-runs';
}

export interface IOptions {
  app: JupyterFrontEnd;
  service: ComparisonService;
  media: MediaService;
  events: GenOpsEvents;
  trans: TranslationBundle;
  restorer: ILayoutRestorer | null;
  palette: ICommandPalette | null;
}

/**
 * Add the command that opens a comparison, and restore its views after a
 * reload.
 */
export function addCommands(options: IOptions): void {
  const { app, service, media, events, trans, restorer, palette } = options;
  const { commands, shell } = app;
  const tracker = new WidgetTracker<MainAreaWidget<ComparisonView>>({
    namespace: 'genops-comparison'
  });
  void restorer?.restore(tracker, {
    command: CommandIDs.compareRuns,
    name: ({ id }) => id,
    args: ({ content: { model } }): ReadonlyPartialJSONObject => ({
      run_ids: [...model.runIds],
      baseline: model.baseline
    })
  });

  // The profiling feature may be switched off, or load later.
  const compareProfiles = (before_run: string, after_run: string) => {
    if (commands.hasCommand(ProfileCommands.compareProfiles)) {
      void commands.execute(ProfileCommands.compareProfiles, {
        before_run,
        after_run
      });
    }
  };

  const open = async (runIds: string[], baseline: string) => {
    const [{ ComparisonModel }, { ComparisonView }] = await Promise.all([
      import('./model'),
      import('./view/comparison')
    ]);
    const id = `genops-comparison-${[...runIds].sort().join('-')}`;
    let widget = tracker.find(each => each.id === id);
    if (!widget) {
      const model = new ComparisonModel({
        service,
        media,
        events,
        trans,
        runIds,
        baseline
      });
      const made = new MainAreaWidget({
        content: new ComparisonView(model, service, trans, compareProfiles)
      });
      widget = made;
      widget.id = id;
      widget.title.label = trans.__('Comparison');
      widget.title.caption = trans._n(
        '%1 run side by side',
        '%1 runs side by side',
        runIds.length
      );
      widget.title.icon = experimentIcon;
      widget.title.closable = true;
      model.changed.connect(() => void tracker.save(made), made);
      void tracker.add(widget);
      shell.add(widget, 'main');
    } else if (baseline) {
      widget.content.model.baseline = baseline;
    }
    shell.activateById(id);
    return widget;
  };

  commands.addCommand(CommandIDs.compareRuns, {
    label: trans.__('Compare Runs…'),
    caption: trans.__('Show differences between runs, side by side'),
    icon: experimentIcon,
    describedBy: {
      args: {
        type: 'object',
        properties: {
          run_ids: {
            type: 'array',
            items: { type: 'string' },
            description: trans.__(
              'The ids of the runs; with fewer than two, a dialog asks for more'
            )
          },
          baseline: {
            type: 'string',
            description: trans.__(
              'The id of the baseline; default: the first run'
            )
          }
        }
      }
    },
    execute: async args => {
      const given = Array.isArray(args.run_ids)
        ? args.run_ids.filter(id => typeof id === 'string')
        : [];
      const baseline = typeof args.baseline === 'string' ? args.baseline : '';
      try {
        const runIds =
          new Set(given).size < 2
            ? await asked(service, given, trans)
            : [...new Set(given)];
        return runIds && (await open(runIds, baseline));
      } catch (reason) {
        const error = ApiError.from(reason, trans);
        Notification.error(`${error.message} ${error.hint}`.trim());
        return null;
      }
    }
  });
  palette?.addItem({
    command: CommandIDs.compareRuns,
    category: trans.__('GenOps Lab')
  });
}

/** Ask which runs to compare with those given; null for none. */
async function asked(
  service: ComparisonService,
  given: readonly string[],
  trans: TranslationBundle
): Promise<string[] | null> {
  const labels = new Map<string, string>();
  for (const run of await service.runs()) {
    if (!given.includes(run.run_id)) {
      labels.set(labelOf(run), run.run_id);
    }
  }
  if (labels.size + given.length < 2) {
    Notification.info(trans.__('A comparison needs two runs.'));
    return null;
  }
  const { value } = await titled(
    given.length
      ? trans.__('Compare with')
      : trans.__('Compare runs: choose two or more'),
    title =>
      InputDialog.getMultipleItems({
        title,
        items: [...labels.keys()],
        okLabel: trans.__('Compare')
      })
  );
  const chosen = (value ?? []).map(label => labels.get(label)!);
  const runIds = [...given, ...chosen];
  return runIds.length < 2 ? null : runIds;
}

function labelOf(run: IRun): string {
  const name = run.name || run.run_id.slice(0, 8);
  return `${name} · ${run.experiment} · ${run.run_id.slice(0, 8)}`;
}
