import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { IStateDB } from '@jupyterlab/statedb';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Widget } from '@lumino/widgets';

import type { IGenOpsCore } from '../core/tokens';

/** What a page gets when it is opened. `id` names what it shows; empty for the page of all. */
export interface IPageContext {
  app: JupyterFrontEnd;
  core: IGenOpsCore;
  id: string;
  /** What the browser's workspace keeps. */
  state: IStateDB | null;
}

/** A page of the section "Generative AI". */
export interface IGenAIPage {
  command: string;
  /** The id of its widget, before the id of what it shows. */
  widget: string;
  title: string;
  /** What the page shows. */
  caption: string;
  /** Load the page's code, and return its content, which has the title of the tab. */
  load: (context: IPageContext) => Promise<Widget>;
}

/** All pages, in the order of the section. Add a line for a new one: it gets a command and a button. */
export function genaiPages(trans: TranslationBundle): readonly IGenAIPage[] {
  return [
    {
      command: 'genops:open-endpoints',
      widget: 'genops-endpoints',
      title: trans.__('Endpoints'),
      caption: trans.__('Models that answer: state, price, limits'),
      load: async context =>
        (await import('./endpoints/page')).endpointsPage(context)
    },
    {
      command: 'genops:open-traces',
      widget: 'genops-traces',
      title: trans.__('Traces'),
      caption: trans.__('Requests to models: spans, messages, cost'),
      load: async context => (await import('./traces/open')).tracesPage(context)
    },
    {
      command: 'genops:open-prompts',
      widget: 'genops-prompts',
      title: trans.__('Prompts'),
      caption: trans.__('Versions of prompts: text, aliases, comparison'),
      load: async context =>
        (await import('./prompts/page')).promptsPage(context)
    },
    {
      command: 'genops:open-evaluations',
      widget: 'genops-evaluations',
      title: trans.__('Evaluations'),
      caption: trans.__('Answers of models: scores, differences, examples'),
      load: async context =>
        (await import('./evaluations/page')).evaluationsPage(context)
    }
  ];
}
