import { Token } from '@lumino/coreutils';

import type { MachineModel } from './model';
import type { DrawPart } from './parts';

/** The section "Compute", to which other features add parts. */
export interface IComputeSection {
  /** The readings of this machine; a caller must watch them. */
  readonly machine: MachineModel;
  /**
   * Add a part below this machine; it is drawn when the section first opens.
   */
  addPart(draw: DrawPart): void;
}

export const IComputeSection = new Token<IComputeSection>(
  'genops-lab:IComputeSection',
  'The Compute section of the GenOps Lab panel: features add other places that run kernels.'
);
