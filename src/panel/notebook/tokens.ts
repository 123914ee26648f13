import type { NotebookPanel } from '@jupyterlab/notebook';
import { Token } from '@lumino/coreutils';
import type { ISignal } from '@lumino/signaling';
import type { ReactElement } from 'react';

import type { ISection } from '../tokens';

/** The notebook in front. */
export interface ICurrentNotebook {
  /** Null when no notebook is open. */
  readonly panel: NotebookPanel | null;
  /** The path below the folder of the server; empty when no notebook is open. */
  readonly path: string;
  /** Emitted when another notebook is in front, when the notebook is renamed, and when its kernel or that kernel's state changes. */
  readonly changed: ISignal<object, void>;
}

/** What a feature shows of the notebook in front. */
export interface INotebookPart {
  /** Lower is higher up: the host 10, the run 20. */
  rank: number;
  /** Without this feature the part is left out. */
  room?: string;
  /** Whether it is shown while no notebook is open, too. */
  always?: boolean;
  /** Called once, when the section is first opened. */
  render: (section: ISection) => ReactElement | Promise<ReactElement>;
}

/** The section "This notebook", to which features add parts. */
export interface INotebookSection {
  readonly current: ICurrentNotebook;
  addPart(part: INotebookPart): void;
}

export const INotebookSection = new Token<INotebookSection>(
  'genops-lab:INotebookSection',
  'The section This notebook of the GenOps Lab panel: features add what they know of the notebook in front.'
);
