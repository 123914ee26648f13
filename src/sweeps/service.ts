import type { components } from '../api/generated';
import type { GenOpsApi } from '../core';

export type ISweep = components['schemas']['Sweep'];

/** Calls about sweeps. Each rejects with an ApiError. */
export class SweepsService {
  constructor(private _api: GenOpsApi) {}

  /** The latest sweeps without their trials, the newest first. */
  list(signal?: AbortSignal): Promise<ISweep[]> {
    return this._api.data(this._api.http.GET('/sweeps', { signal }));
  }

  stop(sweep_id: string): Promise<ISweep> {
    const params = { path: { sweep_id } };
    return this._api.data(
      this._api.http.POST('/sweeps/{sweep_id}/stop', { params })
    );
  }

  resume(sweep_id: string): Promise<ISweep> {
    const params = { path: { sweep_id } };
    return this._api.data(
      this._api.http.POST('/sweeps/{sweep_id}/resume', { params })
    );
  }
}
