import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ILayoutRestorer } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { IStateDB } from '@jupyterlab/statedb';
import * as React from 'react';

import { definer, executor, textArg, textOf } from '../core/commands';
import { Pages } from '../core/pages';
import { IGenOpsCore } from '../core/tokens';
import { IGenOpsPanel, SectionRank } from '../panel/tokens';

import { genaiIcon } from './icon';
import { genaiPages } from './pages';

/** The section "Generative AI" and its pages; their code loads when they are opened. */
export const genaiPlugin: JupyterFrontEndPlugin<void> = {
  id: 'genops-lab:genai',
  description: 'Endpoints, traces, prompts, evaluations and labels.',
  autoStart: true,
  requires: [IGenOpsCore, IGenOpsPanel],
  optional: [ICommandPalette, ILayoutRestorer, IStateDB],
  activate: (
    app: JupyterFrontEnd,
    core: IGenOpsCore,
    panel: IGenOpsPanel,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    state: IStateDB | null
  ): void => {
    const { trans } = core;
    const define = definer(app, palette, trans);
    const pages = genaiPages(trans);
    for (const [command, namespace, title] of pages) {
      const opened = new Pages(app, { command, namespace, restorer });
      define(command, {
        label: trans.__('Open %1', title),
        icon: genaiIcon,
        args: { id: textArg(trans.__('Id of the object')) },
        execute: args => {
          const id = textOf(args.id);
          return opened.open(
            id ? `${namespace}-${id}` : namespace,
            async () =>
              (await import('./loading')).PAGES[namespace]({
                app,
                core,
                id,
                state
              }),
            id ? { id } : {}
          );
        }
      });
    }
    panel.addSection({
      id: 'genai',
      title: trans.__('Generative AI'),
      rank: SectionRank.genai,
      icon: genaiIcon,
      render: async () => {
        const { GenAISection } = await import('./section');
        return (
          <GenAISection
            pages={pages}
            onOpen={executor(app.commands)}
            trans={trans}
          />
        );
      }
    });
  }
};
