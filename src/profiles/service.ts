import type { components } from '../api/generated';
import type { GenOpsApi } from '../core';

export type IProfile = components['schemas']['Profile'];
export type IProfileSummary = components['schemas']['ProfileSummary'];
export type IDeviceTime = components['schemas']['DeviceTime'];
export type IOperatorTime = components['schemas']['OperatorTime'];
export type IKernelTime = components['schemas']['KernelTime'];

/** Calls about profiles. Each rejects with an ApiError. */
export class ProfilesService {
  constructor(private _api: GenOpsApi) {}

  list(signal?: AbortSignal): Promise<IProfile[]> {
    return this._api.data(this._api.http.GET('/genops/profiles', { signal }));
  }

  /** A profile with its summary. */
  get(id: string, signal?: AbortSignal): Promise<IProfile> {
    return this._api.data(
      this._api.http.GET('/genops/profiles/{profile_id}', {
        params: { path: { profile_id: id } },
        signal
      })
    );
  }

  async delete(id: string): Promise<void> {
    await this._api.http.DELETE('/genops/profiles/{profile_id}', {
      params: { path: { profile_id: id } }
    });
  }
}
