import { LabIcon } from '@jupyterlab/ui-components';

/** An alias: a label with a hole. */
export const aliasIcon = new LabIcon({
  name: 'genops:alias',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <path class="jp-icon3" fill="#616161" d="M3 3h8.400L21.400 13 13 21.400 3 11.400zm2 2v5.600l8 8 5.600-5.600-8-8zm3 1.300a1.700 1.700 0 1 1 0 3.400 1.700 1.700 0 0 1 0-3.400z"/>
</svg>`
});
