import type { JupyterFrontEndPlugin } from '@jupyterlab/application';

import { cardsPlugin } from './runtime/cards/plugin';
import { chartsPlugin } from './experiments/charts/plugin';
import { comparisonPlugin } from './experiments/comparison/plugin';
import { computePlugin } from './kernels/plugin';
import { corePlugin } from './core/plugin';
import { deploymentsPlugin } from './deployments/plugin';
import { doctorPlugin } from './doctor/plugin';
import { experimentsPlugin } from './experiments/plugin';
import { runTablePlugin } from './experiments/table/plugin';
import { genaiPlugin } from './genai/plugin';
import { modelsPlugin } from './registry/plugin';
import { notebookSectionPlugin } from './panel/notebook/plugin';
import { nsightPlugin } from './kernels/nsight/plugin';
import { outputsPlugin } from './kernels/outputs/plugin';
import { panelPlugin } from './panel/plugin';
import { profileViewsPlugin } from './profiling/main/plugin';
import { profilesPlugin } from './profiling/plugin';
import { timelinePlugin } from './profiling/timeline/plugin';
import { quickstartPlugin } from './quickstart/plugin';
import { sweepsPlugin } from './sweeps/plugin';
import { targetsPlugin } from './hosts/plugin';
import { tasksPlugin } from './tasks/plugin';

export { IComputeSection } from './kernels/tokens';
export { IGenOpsCore } from './core/tokens';
export { INotebookSection } from './panel/notebook/tokens';
export { IGenOpsPanel } from './panel/tokens';

const plugins: JupyterFrontEndPlugin<unknown>[] = [
  corePlugin,
  tasksPlugin,
  panelPlugin,
  notebookSectionPlugin,
  computePlugin,
  nsightPlugin,
  targetsPlugin,
  experimentsPlugin,
  comparisonPlugin,
  runTablePlugin,
  sweepsPlugin,
  chartsPlugin,
  profilesPlugin,
  profileViewsPlugin,
  timelinePlugin,
  modelsPlugin,
  deploymentsPlugin,
  genaiPlugin,
  outputsPlugin,
  cardsPlugin,
  doctorPlugin,
  quickstartPlugin
];

export default plugins;
