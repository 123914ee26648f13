import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { INotebookTracker } from '@jupyterlab/notebook';
import { Signal } from '@lumino/signaling';
import * as React from 'react';

import { thisNotebookIcon } from '../../core/icons';
import { IGenOpsCore } from '../../core/tokens';
import { IGenOpsPanel, SectionRank } from '../tokens';

import { CurrentNotebook } from './current';
import type { INotebookPart } from './tokens';
import { INotebookSection } from './tokens';

/** The section on top of the panel: the notebook in front. */
export const notebookSectionPlugin: JupyterFrontEndPlugin<INotebookSection> = {
  id: 'genops-lab:notebook',
  description: 'The host, the run and the cost of the notebook in front.',
  autoStart: true,
  provides: INotebookSection,
  requires: [IGenOpsCore, IGenOpsPanel],
  optional: [INotebookTracker],
  activate: (
    app: JupyterFrontEnd,
    core: IGenOpsCore,
    panel: IGenOpsPanel,
    notebooks: INotebookTracker | null
  ): INotebookSection => {
    const { trans } = core;
    const current = new CurrentNotebook(notebooks, app.serviceManager.contents);
    const parts: INotebookPart[] = [];
    const added = new Signal<object, void>(parts);
    panel.addSection({
      id: 'notebook',
      title: trans.__('This notebook'),
      caption: trans.__(
        'The notebook that you work in: where it runs, its latest run, its cost'
      ),
      rank: SectionRank.notebook,
      icon: thisNotebookIcon,
      atFirst: 'open',
      render: async section => {
        const { NotebookView } = await import('./view');
        return (
          <NotebookView
            current={current}
            parts={() => parts}
            added={added}
            panel={panel}
            section={section}
            trans={trans}
            onNew={() => void app.commands.execute('notebook:create-new')}
          />
        );
      }
    });
    return {
      current,
      addPart: part => {
        parts.push(part);
        parts.sort((a, b) => a.rank - b.rank);
        added.emit();
      }
    };
  }
};
