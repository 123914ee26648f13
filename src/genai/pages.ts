import type { TranslationBundle } from '@jupyterlab/translation';

/**
 * The command, tab and title of each page, in the order of the section. Add a line for a new one, and its code and
 * caption in `loading.ts`, which JupyterLab does not load at its start.
 */
export const genaiPages = (
  trans: TranslationBundle
): [string, string, string][] => [
  ['genops:open-endpoints', 'genops-endpoints', trans.__('Endpoints')],
  ['genops:open-traces', 'genops-traces', trans.__('Traces')],
  ['genops:open-prompts', 'genops-prompts', trans.__('Prompts')],
  ['genops:open-evaluations', 'genops-evaluations', trans.__('Evaluations')],
  ['genops:open-labels', 'genops-labels', trans.__('Labels')]
];
