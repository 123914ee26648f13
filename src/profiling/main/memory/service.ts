import type { components } from '../../../api/generated';
import type { GenOpsApi } from '../../../core';

type Schemas = components['schemas'];
export type IMemoryTimeline = Schemas['DeviceMemoryTimeline'];
export type IMemoryMoment = Schemas['MemoryMoment'];
export type IMemoryLine = Schemas['MemoryLine'];
export type ISite = Schemas['Site'];

/** A moment by its number or its time; the peak without either. */
export interface IMemoryMomentQuery {
  at?: number;
  us?: number;
}

/** A range of moments; the last one is included. `line` gets a band too. */
export interface IMemoryRange {
  first?: number;
  last?: number;
  line?: number;
}

/**
 * Requests about a profile's memory over time. Each call rejects with an
 * ApiError.
 */
export class MemoryService {
  constructor(private _api: GenOpsApi) {}

  /** All devices over the whole recording. */
  async timelines(
    id: string,
    signal?: AbortSignal
  ): Promise<IMemoryTimeline[]> {
    const answer = await this._api.data(
      this._api.http.GET('/profiles/{profile_id}/memory', {
        params: { path: { profile_id: id } },
        signal
      })
    );
    return answer.devices;
  }

  /** One device between two moments. */
  stretch(
    id: string,
    device: number,
    query: IMemoryRange,
    signal?: AbortSignal
  ): Promise<IMemoryTimeline> {
    return this._api.data(
      this._api.http.GET('/profiles/{profile_id}/memory/{device}', {
        params: { path: { profile_id: id, device: String(device) }, query },
        signal
      })
    );
  }

  /** A device's memory by owner at a moment, or at the peak. */
  moment(
    id: string,
    device: number,
    query: IMemoryMomentQuery,
    signal?: AbortSignal
  ): Promise<IMemoryMoment> {
    return this._api.data(
      this._api.http.GET('/profiles/{profile_id}/memory/{device}/moment', {
        params: { path: { profile_id: id, device: String(device) }, query },
        signal
      })
    );
  }
}
