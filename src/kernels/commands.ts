import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { ICommandPalette } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';

import { computeIcon } from '../core';
import type { IGenOpsPanel } from '../panel';

export namespace CommandIDs {
  export const openCompute = 'genops:open-compute';
}

/** Add the command that shows the Compute section. */
export function addCommands(options: {
  commands: JupyterFrontEnd['commands'];
  palette: ICommandPalette | null;
  panel: IGenOpsPanel;
  trans: TranslationBundle;
}): void {
  const { commands, palette, panel, trans } = options;
  commands.addCommand(CommandIDs.openCompute, {
    label: trans.__('Show Compute'),
    caption: trans.__('Show this machine, its GPUs and the running kernels'),
    icon: computeIcon,
    describedBy: { args: { type: 'object', properties: {} } },
    execute: () => panel.open('compute')
  });
  palette?.addItem({
    command: CommandIDs.openCompute,
    category: trans.__('GenOps Lab')
  });
}
