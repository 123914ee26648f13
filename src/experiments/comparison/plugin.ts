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

/** Shows runs side by side. */
export const comparisonPlugin: JupyterFrontEndPlugin<void> = {
  id: 'genops-lab:comparison',
  description: 'Shows runs side by side, with their differences.',
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
