import type { components } from '../api/generated';
import type { GenOpsApi } from '../core';
import { everyPage } from '../core';

export type ISweep = components['schemas']['Sweep'];
export type ITrial = components['schemas']['Trial'];

/** The operations of sweeps. Each call rejects with an ApiError. */
export class SweepsService {
  constructor(private _api: GenOpsApi) {}

  /** All sweeps, newest first, without their trials. */
  list(signal?: AbortSignal): Promise<ISweep[]> {
    return everyPage(
      query =>
        this._api.data(
          this._api.http.GET('/sweeps', { params: { query }, signal })
        ),
      ({ id }) => id,
      signal
    );
  }

  /** A sweep with its trials. */
  get(sweep_id: string, signal?: AbortSignal): Promise<ISweep> {
    const params = { path: { sweep_id } };
    return this._api.data(
      this._api.http.GET('/sweeps/{sweep_id}', { params, signal })
    );
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
