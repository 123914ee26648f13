/** Restart a notebook's kernel with one of Nsight's tools, or without. */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { Dialog, ICommandPalette } from '@jupyterlab/apputils';
import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import { refreshIcon } from '@jupyterlab/ui-components';

import type { components } from '../../api/generated';
import type { IGenOpsCore } from '../../core';
import { confirm, definer } from '../../core';

import type { SectionSet } from './set-choice';

export namespace NsightCommandIDs {
  export const restart = 'genops:restart-with-nsight';
  export const measure = 'genops:restart-with-nsight-compute';
  export const leave = 'genops:restart-without-nsight';
}

type INewKernel = components['schemas']['NewNsightKernel'];
type Product = INewKernel['product'];

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
  const prepared = (
    kernel_name: string,
    product: Product,
    section_set: SectionSet
  ) =>
    core.api.data(
      core.api.http.POST('/compute/nsight/kernels', {
        body: { kernel_name, product, section_set }
      })
    );
  /** The tool is checked first, so that no user gives up variables in vain. */
  const restart = async (
    product: Product,
    agreed: (version: string) => Promise<SectionSet | undefined>
  ) => {
    const panel = notebooks.currentWidget;
    const kernel = kernelOf(panel);
    if (!panel || !kernel) {
      return;
    }
    const made = await prepared(kernel, product, 'basic');
    const chosen = await agreed(made.version);
    if (!chosen) {
      return;
    }
    const { name } =
      chosen === 'basic' ? made : await prepared(kernel, product, chosen);
    await app.serviceManager.kernelspecs.refreshSpecs();
    await panel.sessionContext.changeKernel({ name });
  };
  const sure = (title: string, body: Dialog.Body<unknown>) =>
    confirm({
      title,
      body,
      action: trans.__('Restart'),
      danger: true,
      trans
    });

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
    execute: () =>
      restart('systems', async version => {
        const yes = await sure(
          trans.__('Restart the kernel with Nsight Systems?'),
          trans.__(
            'Nsight Systems %1 records only programs that it has started. The kernel is restarted, and its variables are lost. Nsight Systems then records cells with %2; other cells are not recorded.',
            version,
            '%%profile'
          )
        );
        return yes ? 'basic' : undefined;
      })
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
    execute: () =>
      restart('compute', async version => {
        const { SetChoice } = await import('./set-choice');
        const body = new SetChoice(version, trans);
        const yes = await sure(
          trans.__('Restart the kernel with Nsight Compute?'),
          body
        );
        return yes ? body.chosen : undefined;
      })
  });

  define(NsightCommandIDs.leave, {
    label: trans.__('Restart Kernel without Nsight…'),
    caption: trans.__('Restart the notebook’s kernel without Nsight’s tools'),
    icon: refreshIcon,
    args: {},
    isVisible: isOffered,
    isEnabled: () => !!underOf(kernelOf(notebooks.currentWidget))?.of,
    execute: async () => {
      const panel = notebooks.currentWidget;
      const name = underOf(kernelOf(panel))?.of;
      if (
        panel &&
        name &&
        (await sure(
          trans.__('Restart the kernel without Nsight?'),
          trans.__(
            'The kernel is restarted, and its variables are lost. PyTorch’s profiler then records cells with %1 again.',
            '%%profile'
          )
        ))
      ) {
        await panel.sessionContext.changeKernel({ name });
      }
    }
  });
}
