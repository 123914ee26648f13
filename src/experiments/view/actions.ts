import type { ILoggedModel, IRun } from '../service';

/** What a person can do with a run; commands stand behind each. */
export interface IRunActions {
  /** Put code that loads the run, or one of its models, into the notebook. */
  insertCode: (run: IRun, model?: ILoggedModel) => void;
  /** Make a notebook of the cells that the run kept, and open it. */
  restore: (run: IRun) => void;
  /** Show runs side by side; of one alone it is asked with which others. */
  compare: (runIds: string[]) => void;
  /** Copy the address under which others, or oneself, open the run. */
  copyLink: (run: IRun) => void;
  /** Open MLflow's own pages, or that of a run. */
  openMlflow: (run?: IRun) => void;
  register: (run: IRun, model: ILoggedModel) => void;
  openNotebook: (path: string) => void;
  /** Show the profile of the run; of several it is asked which. */
  openProfile: (run: IRun) => void;
  insertTrack: () => void;
  /** Show all runs as a table in the main area. */
  openTable: () => void;
  /** Show charts of the table's runs. */
  openCharts: () => void;
  /** Whether models can be registered here: the room may be switched off. */
  canRegister: () => boolean;
  /** Whether profiles can be opened here: the room may be switched off. */
  canOpenProfile: () => boolean;
  canOpenTable: () => boolean;
  canOpenCharts: () => boolean;
}
