import { Token } from '@lumino/coreutils';

import type { MachineModel } from './model';
import type { DrawPart } from './parts';

/** The section "Compute", to which other rooms add. */
export interface IComputeSection {
  /** The readings of this machine; who watches them must say so. */
  readonly machine: MachineModel;
  /** Add a part below this machine; it is drawn when the section is first opened. */
  addPart(draw: DrawPart): void;
}

export const IComputeSection = new Token<IComputeSection>(
  'genops-lab:IComputeSection',
  'The Compute section of the GenOps Lab panel: rooms add what else can run kernels.'
);
