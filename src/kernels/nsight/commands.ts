/** Restart a notebook's kernel with one of Nsight's tools, or without. */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { ICommandPalette } from '@jupyterlab/apputils';
import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import { refreshIcon } from '@jupyterlab/ui-components';

import type { IGenOpsCore } from '../../core';
import { definer } from '../../core';

export namespace NsightCommandIDs {
  export const restart = 'genops:restart-with-nsight';
  export const measure = 'genops:restart-with-nsight-compute';
  export const leave = 'genops:restart-without-nsight';
}

/** The Lab's metadata of kernelspecs under Nsight. */
interface INsightMetadata {
  readonly nsight?: string;
  /** The original kernelspec. */
  readonly of?: string;
}

export interface INsightOptions {
  app: JupyterFrontEnd;
  core: IGenOpsCore;
  notebooks: INotebookTracker;
  palette: ICommandPalette | null;
  /** Whether the server offers Nsight, as far as known. */
  isOffered: () => boolean;
}

const restarting = () => import('./restarting');

/** Add the commands; the kernel menu has them through the schema. */
export function addNsightCommands(options: INsightOptions): void {
  const { app, core, notebooks, palette, isOffered } = options;
  const { trans } = core;
  const define = definer(app, palette, trans);
  const kernelOf = (panel: NotebookPanel | null) =>
    panel?.sessionContext.session?.kernel?.name ?? '';
  const underOf = (name: string) => {
    const spec = app.serviceManager.kernelspecs.specs?.kernelspecs[name];
    return spec?.metadata?.genops as INsightMetadata | undefined;
  };
  define(NsightCommandIDs.restart, {
    label: trans.__('Restart Kernel with Nsight Systems…'),
    caption: trans.__(
      'Restart the notebook’s kernel under Nsight Systems, which records %1 cells',
      '%%profile'
    ),
    icon: refreshIcon,
    args: {},
    isVisible: isOffered,
    isEnabled: () => {
      const name = kernelOf(notebooks.currentWidget);
      return name !== '' && underOf(name)?.nsight !== 'systems';
    },
    execute: async () => (await restarting()).withSystems(options)
  });

  define(NsightCommandIDs.measure, {
    label: trans.__('Restart Kernel with Nsight Compute…'),
    caption: trans.__(
      'Restart the notebook’s kernel under Nsight Compute, which measures each GPU kernel in %1 cells',
      '%%profile'
    ),
    icon: refreshIcon,
    args: {},
    isVisible: isOffered,
    // Also for a kernel under Nsight Compute, to change the set.
    isEnabled: () => kernelOf(notebooks.currentWidget) !== '',
    execute: async () => (await restarting()).withCompute(options)
  });

  define(NsightCommandIDs.leave, {
    label: trans.__('Restart Kernel without Nsight…'),
    caption: trans.__('Restart the notebook’s kernel without Nsight’s tools'),
    icon: refreshIcon,
    args: {},
    isVisible: isOffered,
    isEnabled: () => !!underOf(kernelOf(notebooks.currentWidget))?.of,
    execute: async () =>
      (await restarting()).without(
        options,
        underOf(kernelOf(notebooks.currentWidget))?.of
      )
  });
}
