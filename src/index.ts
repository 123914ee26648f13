import type { JupyterFrontEndPlugin } from '@jupyterlab/application';

import { cardsPlugin } from './cards/plugin';
import { chartsPlugin } from './charts/plugin';
import { comparisonPlugin } from './comparison/plugin';
import { computePlugin } from './compute/plugin';
import { corePlugin } from './core/plugin';
import { deploymentsPlugin } from './deployments/plugin';
import { doctorPlugin } from './doctor/plugin';
import { experimentsPlugin } from './experiments/plugin';
import { runTablePlugin } from './experiments/table/plugin';
import { modelsPlugin } from './models/plugin';
import { outputsPlugin } from './outputs/plugin';
import { panelPlugin } from './panel/plugin';
import { profileViewsPlugin } from './profiles/main/plugin';
import { profilesPlugin } from './profiles/plugin';
import { timelinePlugin } from './profiles/timeline/plugin';
import { quickstartPlugin } from './quickstart/plugin';
import { sweepsPlugin } from './sweeps/plugin';
import { targetsPlugin } from './targets/plugin';
import { tasksPlugin } from './tasks/plugin';

export { IComputeSection } from './compute/tokens';
export { IGenOpsCore } from './core/tokens';
export { IGenOpsPanel } from './panel/tokens';

const plugins: JupyterFrontEndPlugin<unknown>[] = [
  corePlugin,
  tasksPlugin,
  panelPlugin,
  computePlugin,
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
  outputsPlugin,
  cardsPlugin,
  doctorPlugin,
  quickstartPlugin
];

export default plugins;
