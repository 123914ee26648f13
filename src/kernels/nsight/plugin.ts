import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';

import { IGenOpsCore } from '../../core';
import { IGenOpsPanel } from '../../panel';

import { addNsightCommands } from './commands';

/**
 * Kernels under NVIDIA's Nsight tools; an administrator can switch them off.
 */
export const nsightPlugin: JupyterFrontEndPlugin<void> = {
  id: 'genops-lab:nsight',
  description: 'Starts kernels under Nsight Systems and Nsight Compute.',
  autoStart: true,
  requires: [IGenOpsCore, IGenOpsPanel, INotebookTracker],
  optional: [ICommandPalette],
  activate: (
    app: JupyterFrontEnd,
    core: IGenOpsCore,
    panel: IGenOpsPanel,
    notebooks: INotebookTracker,
    palette: ICommandPalette | null
  ): void =>
    addNsightCommands({
      app,
      core,
      notebooks,
      palette,
      isOffered: () => panel.offers('nsight')
    })
};
