import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStatusBar } from '@jupyterlab/statusbar';
import * as React from 'react';

import { IGenOpsCore, computeIcon } from '../core';
import { IGenOpsPanel, SectionRank } from '../panel';

import { CommandIDs, addCommands } from './commands';
import { CurrentKernel } from './current-kernel';
// eslint-disable-next-line jupyter/prefer-lazy-imports -- the status bar shows it
import { MachineModel } from './model';
// eslint-disable-next-line jupyter/prefer-lazy-imports -- other plugins add to it at start
import { ComputeParts } from './parts';
import { ComputeService } from './service';
import { StatusItemSwitch } from './status-switch';
import { IComputeSection } from './tokens';
// eslint-disable-next-line jupyter/prefer-lazy-imports -- the status bar takes no item that comes later
import { KernelStatusItem } from './view/status-item';

/** This machine, its GPUs and its kernels. */
export const computePlugin: JupyterFrontEndPlugin<IComputeSection> = {
  id: 'genops-lab:compute',
  description: 'Shows this machine, its GPUs and the kernels that run on it.',
  autoStart: true,
  provides: IComputeSection,
  requires: [IGenOpsCore, IGenOpsPanel],
  optional: [ICommandPalette, INotebookTracker, IStatusBar, ISettingRegistry],
  activate: (
    app: JupyterFrontEnd,
    core: IGenOpsCore,
    panel: IGenOpsPanel,
    palette: ICommandPalette | null,
    notebooks: INotebookTracker | null,
    statusBar: IStatusBar | null,
    settings: ISettingRegistry | null
  ): IComputeSection => {
    const { commands } = app;
    const { api, events, live, trans } = core;
    const service = new ComputeService(api);
    const machine = new MachineModel({
      live,
      events,
      trans,
      fetch: signal => service.reading(signal)
    });
    const parts = new ComputeParts(trans);
    parts.add(async () => {
      const { ComputeView } = await import('./view/section');
      return (
        <ComputeView
          model={machine}
          trans={trans}
          onOpenNotebook={path => {
            void commands.execute('docmanager:open', { path });
          }}
          onNewNotebook={() => {
            void commands.execute('notebook:create-new');
          }}
        />
      );
    });
    panel.addSection({
      id: 'compute',
      title: trans.__('Compute'),
      rank: SectionRank.compute,
      icon: computeIcon,
      render: section => {
        machine.watchWhile(section);
        return parts.open(section);
      }
    });
    addCommands({ commands, palette, panel, trans });

    if (statusBar && notebooks) {
      const kernel = new CurrentKernel(notebooks);
      const shown = new StatusItemSwitch(kernel, settings);
      statusBar.registerStatusItem('genops-lab:kernel', {
        item: new KernelStatusItem({
          kernel,
          machine,
          trans,
          onClick: () => {
            void commands.execute(CommandIDs.openCompute);
          }
        }),
        align: 'left',
        rank: 3,
        isActive: () => shown.isActive,
        activeStateChanged: shown.changed
      });
    }
    return { machine, addPart: draw => parts.add(draw) };
  }
};
