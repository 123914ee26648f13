import { LabIcon } from '@jupyterlab/ui-components';

/** Lineage: one that becomes two. */
export const lineageIcon = new LabIcon({
  name: 'genops:lineage',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <path class="jp-icon3" fill="#616161" d="M2 9h6v6H2zm14-6h6v6h-6zm0 12h6v6h-6zM9 11h2.500V5H15v2h-1.500v10H15v2h-3.500v-6H9z"/>
</svg>`
});
