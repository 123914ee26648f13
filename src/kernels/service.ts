import type { components } from '../api/generated';
import type { GenOpsApi } from '../core';

export type IMachine = components['schemas']['Machine'];
export type IGpu = components['schemas']['Gpu'];
export type IKernelUse = components['schemas']['KernelUse'];

/**
 * The content of the live topic `machine`; the two requests together return the
 * same.
 */
export interface IMachineReading {
  readonly machine: IMachine;
  readonly kernels: readonly IKernelUse[];
}

/** Calls about this machine. */
export class ComputeService {
  constructor(api: GenOpsApi) {
    this._api = api;
  }

  /** This machine and its kernels, now. */
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
