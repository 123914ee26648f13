import { LabIcon } from '@jupyterlab/ui-components';

/** The icon of the diagnosis: a heartbeat. */
export const doctorIcon = new LabIcon({
  name: 'genops:doctor',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <path class="jp-icon3" fill="#616161" d="M2 11h4.300L9 4.200h1.800l3.400 11.300 1.900-4.500H22v2h-4.600L14.800 19h-1.900L9.800 8.700 8.100 13H2z"/>
</svg>`
});
