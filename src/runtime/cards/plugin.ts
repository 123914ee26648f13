import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { INotebookTracker } from '@jupyterlab/notebook';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';

import { IGenOpsCore, tellFailure } from '../../core';
import { OutputsService } from '../../kernels/outputs/service';

import { KeptCards } from './saved-states';
import { LiveCards } from './model';
import { cardRenderer } from './renderer';

/**
 * Keeps cards of tracked cells, sweeps, profiles and deployments alive over a
 * reload of the page.
 */
export const cardsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'genops-lab:cards',
  description:
    'Draws the cards of tracked cells, sweeps, profiles and deployments, also after a reload of the page.',
  autoStart: true,
  requires: [IGenOpsCore, INotebookTracker, IRenderMimeRegistry],
  activate: (
    app: JupyterFrontEnd,
    core: IGenOpsCore,
    notebooks: INotebookTracker,
    rendermime: IRenderMimeRegistry
  ): void => {
    const { trans } = core;
    const cards = new LiveCards(async ({ state }) => {
      const { SweepsService } = await import('../../sweeps/service');
      await new SweepsService(core.api).stop(String(state.id));
    });
    const kept = new KeptCards();
    const service = new OutputsService(core.api);
    rendermime.addFactory(cardRenderer(cards, core));
    const follow = (_: unknown, panel: NotebookPanel): void => {
      import('./notebook').then(
        ({ NotebookCards }) =>
          panel.isDisposed ||
          new NotebookCards({ panel, cards, kept, service, trans }),
        (reason: unknown) => tellFailure(reason, trans)
      );
    };
    notebooks.widgetAdded.connect(follow);
    notebooks.forEach(panel => follow(notebooks, panel));
  }
};
