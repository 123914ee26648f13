import type { ILayoutRestorer, JupyterFrontEnd } from '@jupyterlab/application';
import type { ICommandPalette, MainAreaWidget } from '@jupyterlab/apputils';
import { WidgetTracker } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import type { GenOpsEvents } from '../../core';
import { experimentIcon } from '../../core';
import type { MediaService } from '../media/service';

import type { ComparisonService } from './service';
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
  const { app, trans, restorer, palette } = options;
  const { commands } = app;
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
      const { openComparison } = await import('./opening');
      return openComparison({ ...options, tracker, compareProfiles }, args);
    }
  });
  palette?.addItem({
    command: CommandIDs.compareRuns,
    category: trans.__('GenOps Lab')
  });
}
