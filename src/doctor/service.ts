import type { components } from '../api/generated';
import type { GenOpsApi } from '../core';

export type IStatus = components['schemas']['Status'];
export type ILocked = components['schemas']['Locked'];
export type ICheck = components['schemas']['Check'];
export type IDiagnosis = components['schemas']['Diagnosis'];

/** The operations of status and diagnosis. Each call rejects with an ApiError. */
export class DoctorService {
  constructor(private _api: GenOpsApi) {}

  status(signal?: AbortSignal): Promise<IStatus> {
    return this._api.data(this._api.http.GET('/status', { signal }));
  }

  /** Run all checks; this takes some seconds. */
  diagnose(signal?: AbortSignal): Promise<IDiagnosis> {
    return this._api.data(this._api.http.GET('/doctor', { signal }));
  }
}
