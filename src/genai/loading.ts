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

/** Each page's code, by its tab: it returns the content of a tab, which has the tab's title. */
export const PAGES: Record<string, (context: IPageContext) => Promise<Widget>> =
  {
    'genops-endpoints': async context =>
      (await import('./endpoints/page')).endpointsPage(context),
    'genops-traces': async context => {
      // The server answers while the code of the page loads.
      const { api } = context.core;
      let loaded = false;
      const columns = context.app.restored
        // A page that the Lab opens again may be hidden: it reads its columns when it is seen.
        .then(() =>
          loaded ? undefined : api.data(api.http.GET('/traces/columns'))
        )
        .catch(() => undefined); // the page asks again, and shows the error
      const { tracesPage } = await import('./traces/open');
      loaded = true;
      return tracesPage(context, columns);
    },
    'genops-prompts': async context =>
      (await import('./prompts/page')).promptsPage(context),
    'genops-evaluations': async context =>
      (await import('./evaluations/page')).evaluationsPage(context),
    'genops-labels': async context =>
      (await import('./labels/page')).labelsPage(context)
  };

/** What each page shows, in a line. */
export function captions(trans: TranslationBundle): Record<string, string> {
  return {
    'genops-endpoints': trans.__('Models that answer: state, price, limits'),
    'genops-traces': trans.__('Requests to models: spans, messages, cost'),
    'genops-prompts': trans.__(
      'Versions of prompts: text, aliases, comparison'
    ),
    'genops-evaluations': trans.__(
      'Answers of models: scores, differences, examples'
    ),
    'genops-labels': trans.__('Answers to label; judges beside people')
  };
}
