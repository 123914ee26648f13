import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ILayoutRestorer } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { INotebookTracker } from '@jupyterlab/notebook';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';

import { IGenOpsCore, tellFailure } from '../../core';

// eslint-disable-next-line jupyter/prefer-lazy-imports -- a renderer is made at once
import { excerptOfCell, excerptRenderer } from './excerpt';
import { CommandIDs, addCommands } from './full/commands';
import { OutputsService } from './service';

/** Adds outputs that a page did not see to its notebook. */
export const outputsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'genops-lab:outputs',
  description:
    'Keeps outputs through a reloaded page, a cut connection and a restarted server.',
  autoStart: true,
  requires: [IGenOpsCore, INotebookTracker, IRenderMimeRegistry],
  optional: [ILayoutRestorer, ICommandPalette],
  activate: (
    app: JupyterFrontEnd,
    core: IGenOpsCore,
    notebooks: INotebookTracker,
    rendermime: IRenderMimeRegistry,
    restorer: ILayoutRestorer | null,
    palette: ICommandPalette | null
  ): void => {
    const { api, events, trans } = core;
    const service = new OutputsService(api);
    const active = () => {
      const excerpt = excerptOfCell(notebooks.activeCell);
      const name = notebooks.currentWidget?.title.label ?? '';
      const { kernel_id = '', msg_id = '' } = excerpt ?? {};
      return excerpt && { kernel_id, msg_id, name };
    };
    addCommands({ app, service, trans, restorer, palette, active });
    rendermime.addFactory(
      excerptRenderer(trans, (kernelId, msgId) => {
        void app.commands.execute(CommandIDs.openFullOutput, {
          kernel_id: kernelId,
          msg_id: msgId,
          name: notebooks.currentWidget?.title.label ?? ''
        });
      })
    );
    const recover = (_: unknown, panel: NotebookPanel): void => {
      import('./recovery').then(
        ({ NotebookRecovery }) => {
          if (!panel.isDisposed) {
            const { contents } = app.serviceManager;
            const options = { panel, contents, service, events, trans };
            const recovery = new NotebookRecovery(options);
            panel.disposed.connect(() => recovery.dispose());
          }
        },
        (reason: unknown) => tellFailure(reason, trans)
      );
    };
    notebooks.widgetAdded.connect(recover);
    notebooks.forEach(panel => recover(notebooks, panel));
  }
};
