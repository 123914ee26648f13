/** A notebook's kernel under Nsight Systems, and back. */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { ICommandPalette } from '@jupyterlab/apputils';
import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import { refreshIcon } from '@jupyterlab/ui-components';

import type { IGenOpsCore } from '../core';
import { confirm } from '../core';
import { definer } from '../core/commands';

export namespace NsightCommandIDs {
  export const restart = 'genops:restart-with-nsight';
  export const leave = 'genops:restart-without-nsight';
}

/** What the Lab puts into the metadata of kernelspecs under Nsight Systems. */
interface INsightMetadata {
  readonly nsight?: string;
  /** The kernelspec that it was made of. */
  readonly of?: string;
}

export interface INsightOptions {
  app: JupyterFrontEnd;
  core: IGenOpsCore;
  notebooks: INotebookTracker;
  palette: ICommandPalette | null;
}

/** Add the commands; the kernel menu has them through the schema. */
export function addNsightCommands(options: INsightOptions): void {
  const { app, core, notebooks, palette } = options;
  const { trans } = core;
  const define = definer(app, palette, trans);
  const kernelOf = (panel: NotebookPanel | null) =>
    panel?.sessionContext.session?.kernel?.name ?? '';
  const originalOf = (name: string) => {
    const spec = app.serviceManager.kernelspecs.specs?.kernelspecs[name];
    const own = spec?.metadata?.genops as INsightMetadata | undefined;
    return own?.nsight === 'systems' ? own.of : undefined;
  };
  const isPlain = () => {
    const name = kernelOf(notebooks.currentWidget);
    return name !== '' && originalOf(name) === undefined;
  };

  define(NsightCommandIDs.restart, {
    label: trans.__('Restart Kernel with Nsight Systems…'),
    caption: trans.__(
      'Start the notebook’s kernel anew under Nsight Systems, which records %1 there',
      '%%profile'
    ),
    icon: refreshIcon,
    args: {},
    isEnabled: isPlain,
    execute: async () => {
      const panel = notebooks.currentWidget;
      if (!panel || !isPlain()) {
        return;
      }
      // First, so that nobody agrees to lose their variables for nothing.
      const made = await core.api.data(
        core.api.http.POST('/genops/compute/nsight/kernels', {
          body: { kernel_name: kernelOf(panel) }
        })
      );
      const agreed = await confirm({
        title: trans.__('Restart the kernel with Nsight Systems?'),
        body: trans.__(
          'Nsight Systems %1 records only programs that it has started, so the kernel is started anew: its variables are lost. Cells with %2 are recorded by it from then on; other cells are not.',
          made.version,
          '%%profile'
        ),
        action: trans.__('Restart'),
        danger: true,
        trans
      });
      if (agreed) {
        await app.serviceManager.kernelspecs.refreshSpecs();
        await panel.sessionContext.changeKernel({ name: made.name });
      }
    }
  });

  define(NsightCommandIDs.leave, {
    label: trans.__('Restart Kernel without Nsight Systems…'),
    caption: trans.__('Start the notebook’s kernel anew, by itself'),
    icon: refreshIcon,
    args: {},
    isEnabled: () => !!originalOf(kernelOf(notebooks.currentWidget)),
    execute: async () => {
      const panel = notebooks.currentWidget;
      const name = originalOf(kernelOf(panel));
      if (
        panel &&
        name &&
        (await confirm({
          title: trans.__('Restart the kernel without Nsight Systems?'),
          body: trans.__(
            'The kernel is started anew: its variables are lost. Cells with %1 are recorded by PyTorch’s profiler again.',
            '%%profile'
          ),
          action: trans.__('Restart'),
          danger: true,
          trans
        }))
      ) {
        await panel.sessionContext.changeKernel({ name });
      }
    }
  });
}
