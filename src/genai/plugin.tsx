import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ILayoutRestorer } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import type { DocumentWidget } from '@jupyterlab/docregistry';
import { IFileBrowserFactory } from '@jupyterlab/filebrowser';
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
  optional: [ICommandPalette, ILayoutRestorer, IStateDB, IFileBrowserFactory],
  activate: (
    app: JupyterFrontEnd,
    core: IGenOpsCore,
    panel: IGenOpsPanel,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    state: IStateDB | null,
    files: IFileBrowserFactory | null
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
    const inFront = () =>
      (app.shell.currentWidget as Partial<DocumentWidget> | null)?.context
        ?.path ?? '';
    define('genops:evaluate-file', {
      label: args =>
        args.place ? trans.__('Evaluate…') : trans.__('Evaluate a File…'),
      caption: trans.__(
        'Show what an evaluation file asks and costs, then start it'
      ),
      icon: genaiIcon,
      isVisible: ({ place }) =>
        place !== 'editor' || /\.ya?ml$/i.test(inFront()),
      args: {
        path: textArg(
          trans.__('Path of the file; a dialog asks if it is missing')
        )
      },
      execute: async ({ place, path }) => {
        const { evaluateFile } = await import('./evaluations/begin');
        await evaluateFile(
          { app, core, files },
          place === 'editor'
            ? inFront()
            : place === 'browser'
              ? (files?.tracker.currentWidget?.selectedItems().next().value
                  ?.path ?? '')
              : textOf(path)
        );
      }
    });
    define('genops:new-evaluation', {
      label: trans.__('New Evaluation…'),
      caption: trans.__(
        'Compare models or prompts on rows: write an evaluation file'
      ),
      icon: genaiIcon,
      args: {},
      execute: async () => {
        const { newEvaluation } = await import('./evaluations/begin');
        await newEvaluation({ app, core, files });
      }
    });
    for (const [place, selector] of [
      ['browser', '.jp-DirListing-item[data-file-type="yaml"]'],
      ['editor', '.jp-FileEditor']
    ]) {
      app.contextMenu.addItem({
        command: 'genops:evaluate-file',
        args: { place },
        selector,
        rank: 21
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
