import { LabIcon } from '@jupyterlab/ui-components';

/** GenOps Lab: a loop (train, track, deploy) around a core that runs. */
export const genopsIcon = new LabIcon({
  name: 'genops:logo',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <g class="jp-icon3" fill="#616161">
    <path d="M12 2.6 20.2 7.3v5.2h-2.1V8.5L12 5 5.9 8.5v7L12 19l2.3-1.3 1.05 1.8L12 21.4l-8.2-4.7V7.3z"/>
    <path d="M12 8.2 15.3 10.1v3.8L12 15.8 8.7 13.9v-3.8z"/>
    <path d="M16.6 14.6 22 17.7l-5.4 3.1z"/>
  </g>
</svg>`
});

/** Compute: a chip. */
export const computeIcon = new LabIcon({
  name: 'genops:compute',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <path class="jp-icon3" fill="#616161" d="M9 2h2v3h2V2h2v3h2a2 2 0 0 1 2 2v2h3v2h-3v2h3v2h-3v2a2 2 0 0 1-2 2h-2v3h-2v-3h-2v3H9v-3H7a2 2 0 0 1-2-2v-2H2v-2h3v-2H2V9h3V7a2 2 0 0 1 2-2h2zM7 7v10h10V7zm2.5 2.5h5v5h-5z"/>
</svg>`
});

/** Experiments: a curve that falls. */
export const experimentIcon = new LabIcon({
  name: 'genops:experiment',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <path class="jp-icon3" fill="#616161" d="M3 3h2v16h16v2H3zm4.4 2.2 1.9-.6c1.3 4.3 2.9 7 5 8.3 1.4.9 3.2 1.2 5.7 1.1v2c-2.9.1-5.1-.3-6.8-1.4-2.600-1.700-4.400-4.800-5.800-9.400z"/>
</svg>`
});

/** Sweeps: a grid of trials. */
export const sweepIcon = new LabIcon({
  name: 'genops:sweep',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <path class="jp-icon3" fill="#616161" d="M3 3h5v5H3zm7 0h5v5h-5zm7 0h4v5h-4zM3 10h5v5H3zm7 0h5v5h-5zm7 0h4v5h-4zM3 17h5v4H3zm7 0h5v4h-5zm7 0h4v4h-4z"/>
</svg>`
});

/** Activity: a clock. */
export const activityIcon = new LabIcon({
  name: 'genops:activity',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <path class="jp-icon3" fill="#616161" d="M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zm0 2a7 7 0 1 1 0 14 7 7 0 0 1 0-14zm-1 2v5.600l4.300 2.600 1-1.700-3.300-2V7z"/>
</svg>`
});

/** This notebook: a book with a mark. */
export const thisNotebookIcon = new LabIcon({
  name: 'genops:this-notebook',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <path class="jp-icon3" fill="#616161" d="M6 3h12a2 2 0 0 1 2 2v14a2 2 0 0 1-2 2H6a2 2 0 0 1-2-2V5a2 2 0 0 1 2-2zm0 2v14h12V5h-2v7l-2.500-2L11 12V5z"/>
</svg>`
});

/** Profiles: bars of a trace. */
export const profileIcon = new LabIcon({
  name: 'genops:profile',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <path class="jp-icon3" fill="#616161" d="M3 4h18v4H3zm3 6h11v4H6zm3 6h5v4H9z"/>
</svg>`
});

/** Models: a box. */
export const modelIcon = new LabIcon({
  name: 'genops:model',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <path class="jp-icon3" fill="#616161" d="m12 2 9 5v10l-9 5-9-5V7zm0 2.300L6.200 7.500 12 10.700l5.800-3.200zM5 9.200v6.600l6 3.300v-6.600zm14 0-6 3.300v6.600l6-3.300z"/>
</svg>`
});

/** Deployments: an arrow that leaves. */
export const deploymentIcon = new LabIcon({
  name: 'genops:deployment',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <path class="jp-icon3" fill="#616161" d="M12 2.500 18.500 9l-1.400 1.400L13 6.300V16h-2V6.300l-4.100 4.100L5.500 9zM4 14h2v5h12v-5h2v7H4z"/>
</svg>`
});
