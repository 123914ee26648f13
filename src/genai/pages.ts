import type { TranslationBundle } from '@jupyterlab/translation';

/**
 * The command, tab and title of each page, in the order of the section. Add a line for a new one, and its code and
 * caption in `loading.ts`, which JupyterLab does not load at its start.
 */
export const genaiPages = (
  trans: TranslationBundle
): [string, string, string][] =>
  [
    ['endpoints', trans.__('Endpoints')],
    ['traces', trans.__('Traces')],
    ['prompts', trans.__('Prompts')],
    ['evaluations', trans.__('Evaluations')],
    ['labels', trans.__('Labels')]
  ].map(([name, title]) => [`genops:open-${name}`, `genops-${name}`, title]);
