import type { components } from '../api/generated';
import type { GenOpsApi, IPage, IPageQuery } from '../core';

export type ISweep = components['schemas']['Sweep'];

/** The operations of sweeps. Each call rejects with an ApiError. */
export class SweepsService {
  constructor(private _api: GenOpsApi) {}

  /** Sweeps without their trials, newest first. */
  page(query: IPageQuery, signal?: AbortSignal): Promise<IPage<ISweep>> {
    const params = { query };
    return this._api.data(this._api.http.GET('/sweeps', { params, signal }));
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
