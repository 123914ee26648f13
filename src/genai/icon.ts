import { LabIcon } from '@jupyterlab/ui-components';

/** Generative AI: an answer in a bubble. */
export const genaiIcon = new LabIcon({
  name: 'genops:genai',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <path class="jp-icon3" fill="#616161" d="M3 4h18v13H11l-5 4v-4H3zm2 2v9h14V6z"/>
</svg>`
});
