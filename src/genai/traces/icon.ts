import { LabIcon } from '@jupyterlab/ui-components';

/** Traces: bars that begin one after the other, below their parent. */
export const tracesIcon = new LabIcon({
  name: 'genops:traces',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <path class="jp-icon3" fill="#616161" d="M3 5h18v3H3zm4 5.500h7v3H7zm7 5.500h7v3h-7z"/>
</svg>`
});
