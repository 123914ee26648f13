import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ILayoutRestorer } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';

import { IGenOpsCore } from '../../core';
import { MediaService } from '../media/service';

import { addCommands } from './commands';
import { ComparisonService } from './service';

/** Runs side by side. */
export const comparisonPlugin: JupyterFrontEndPlugin<void> = {
  id: 'genops-lab:comparison',
  description: 'Runs side by side: what differs between them.',
  autoStart: true,
  requires: [IGenOpsCore],
  optional: [ILayoutRestorer, ICommandPalette],
  activate: (
    app: JupyterFrontEnd,
    core: IGenOpsCore,
    restorer: ILayoutRestorer | null,
    palette: ICommandPalette | null
  ): void => {
    const { api, events, trans } = core;
    const service = new ComparisonService(api);
    const media = new MediaService(api);
    addCommands({ app, service, media, events, trans, restorer, palette });
  }
};
