import type { ILoggedModel, IRun } from '../service';

/** Actions for a run; each executes a command. */
export interface IRunActions {
  /** Insert code into the notebook that loads the run, or one of its models. */
  insertCode: (run: IRun, model?: ILoggedModel) => void;
  /** Make a notebook of the run's cells, and open it. */
  restore: (run: IRun) => void;
  /** Show runs side by side; for one run, ask for others. */
  compare: (runIds: string[]) => void;
  /** Copy the run's link. */
  copyLink: (run: IRun) => void;
  /** Open MLflow's own pages, or its page of a run. */
  openMlflow: (run?: IRun) => void;
  /** Show the run's data, versions and deployments. */
  showLineage: (run: IRun) => void;
  register: (run: IRun, model: ILoggedModel) => void;
  openNotebook: (path: string) => void;
  /** Show the profile of the run; if it has several, ask for one. */
  openProfile: (run: IRun) => void;
  insertTrack: () => void;
  /** Show all runs as a table in the main area. */
  openTable: () => void;
  /** Show charts of the table's runs. */
  openCharts: () => void;
  /** Whether lineage can be shown: the feature may be switched off. */
  canShowLineage: () => boolean;
  /** Whether models can be registered: the feature may be switched off. */
  canRegister: () => boolean;
  /** Whether profiles can be opened: the feature may be switched off. */
  canOpenProfile: () => boolean;
  canOpenTable: () => boolean;
  canOpenCharts: () => boolean;
}
