import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ILayoutRestorer } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';

import {
  IGenOpsCore,
  definer,
  once,
  sweepIcon,
  textArg,
  textOf
} from '../core';

import { Pages } from '../core/pages';

import type { SweepPage } from './view/pages';

export namespace CommandIDs {
  export const openSweeps = 'genops:open-sweeps';
  export const openSweep = 'genops:open-sweep';
}

/** The pages of sweeps; their code loads when the first is opened. */
export const sweepsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'genops-lab:sweeps',
  description:
    'Lists sweeps with their progress; shows, stops and resumes them.',
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
    const { trans } = core;
    const { commands } = app;
    const define = definer(app, palette, trans);
    const make = once(async () => {
      const { sweepPages } = await import('./view/pages');
      return sweepPages({ commands, core, notebooks });
    });

    const lists = new Pages(app, {
      namespace: 'genops-sweeps',
      command: CommandIDs.openSweeps,
      restorer
    });
    define(CommandIDs.openSweeps, {
      label: trans.__('Open Sweeps'),
      caption: trans.__('Show all sweeps with their progress'),
      icon: sweepIcon,
      args: {},
      execute: () =>
        lists.open('genops-sweeps', async () => (await make()).list())
    });

    const sweeps = new Pages<SweepPage>(app, {
      namespace: 'genops-sweep',
      command: CommandIDs.openSweep,
      restorer
    });
    define(CommandIDs.openSweep, {
      label: trans.__('Open a Sweep…'),
      caption: trans.__('Show the trials of a sweep'),
      icon: sweepIcon,
      args: {
        id: textArg(
          trans.__('The id of the sweep; a dialog asks when it is missing')
        )
      },
      execute: async args => {
        const pages = await make();
        const id = textOf(args.id) || (await pages.choose());
        return id
          ? sweeps.open(
              `genops-sweep-${id}`,
              () => Promise.resolve(pages.one(id)),
              { id }
            )
          : undefined;
      }
    });
  }
};
