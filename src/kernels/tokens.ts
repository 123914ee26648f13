import { Token } from '@lumino/coreutils';
import type { ReactElement } from 'react';

import type { ISection } from '../panel';

import type { MachineModel } from './model';

/** The section "Compute", to which other rooms add. */
export interface IComputeSection {
  /** The readings of this machine; who watches them must say so. */
  readonly machine: MachineModel;
  /** Add a part below this machine; it is drawn when the section is first opened. */
  addPart(draw: (section: ISection) => ReactElement): void;
}

export const IComputeSection = new Token<IComputeSection>(
  'genops-lab:IComputeSection',
  'The Compute section of the GenOps Lab panel: rooms add what else can run kernels.'
);
