import type { components } from '../api/generated';
import type { GenOpsApi } from '../core';

export type IStatus = components['schemas']['Status'];
export type ILocked = components['schemas']['Locked'];
export type ICheck = components['schemas']['Check'];
export type IDiagnosis = components['schemas']['Diagnosis'];

/** Calls about the state of the server side. Each rejects with an ApiError. */
export class DoctorService {
  constructor(private _api: GenOpsApi) {}

  status(signal?: AbortSignal): Promise<IStatus> {
    return this._api.data(this._api.http.GET('/status', { signal }));
  }

  /** Have everything examined; it takes some seconds. */
  diagnose(signal?: AbortSignal): Promise<IDiagnosis> {
    return this._api.data(this._api.http.GET('/doctor', { signal }));
  }
}
