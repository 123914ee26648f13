import type { components } from '../api/generated';
import type { GenOpsApi } from '../core';

export type IMachine = components['schemas']['Machine'];
export type IGpu = components['schemas']['Gpu'];
export type IKernelUse = components['schemas']['KernelUse'];

/** What the live topic `machine` carries, and what the two requests give together. */
export interface IMachineReading {
  readonly machine: IMachine;
  readonly kernels: readonly IKernelUse[];
}

/** The calls of the compute room. */
export class ComputeService {
  constructor(api: GenOpsApi) {
    this._api = api;
  }

  /** This machine and the kernels on it, now. */
  async reading(signal?: AbortSignal): Promise<IMachineReading> {
    const { http } = this._api;
    const [machine, kernels] = await Promise.all([
      this._api.data(http.GET('/compute/machine', { signal })),
      this._api.data(http.GET('/compute/kernels', { signal }))
    ]);
    return { machine, kernels };
  }

  private _api: GenOpsApi;
}
