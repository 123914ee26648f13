import type { components } from '../../api/generated';
import type { GenOpsApi } from '../../core';
import type { IProfile } from '../service';

type Schemas = components['schemas'];
export type ITimeline = Schemas['Timeline'];
export type ITimelineLane = Schemas['TimelineLane'];
export type ITimelineRank = Schemas['TimelineRank'];
export type ITimelineSlice = Schemas['TimelineSlice'];
export type ITimelineTile = Schemas['TimelineTile'];
export type ISliceDetails = Schemas['SliceDetails'];
export type ISliceSearch = Schemas['SliceSearch'];
export type IFoundSlices = Schemas['FoundSlices'];
export type ISums = Schemas['Sums'];
export type ISumsQuery = Schemas['SumsQuery'];
export type ICollectiveMoment = Schemas['CollectiveMoment'];
export type ICounterLane = Schemas['CounterLane'];
export type ICounterMoment = Schemas['CounterMoment'];
export type ITileKey = Schemas['TileKey'];

/**
 * Requests of a timeline, for one rank if a profile has several. Each call
 * rejects with an ApiError.
 */
export class TimelineService {
  constructor(private _api: GenOpsApi) {}

  /**
   * The profile of a file in the file browser; the file is analyzed if there is
   * none yet.
   */
  open(path: string): Promise<IProfile> {
    return this._api.data(
      this._api.http.POST('/profiles/open', { body: { path } })
    );
  }

  timeline(
    id: string,
    rank: number | null,
    signal?: AbortSignal
  ): Promise<ITimeline> {
    return this._api.data(
      this._api.http.GET('/profiles/{profile_id}/timeline', {
        params: { path: { profile_id: id }, query: { rank } },
        signal
      })
    );
  }

  async tiles(
    id: string,
    rank: number | null,
    tiles: ITileKey[],
    signal: AbortSignal
  ): Promise<ITimelineTile[]> {
    const answer = await this._api.data(
      this._api.http.POST('/profiles/{profile_id}/timeline/tiles', {
        params: { path: { profile_id: id }, query: { rank } },
        body: { tiles },
        signal
      })
    );
    return answer.tiles;
  }

  slice(
    id: string,
    rank: number | null,
    slice: number,
    signal: AbortSignal
  ): Promise<ISliceDetails> {
    return this._api.data(
      this._api.http.GET(
        '/profiles/{profile_id}/timeline/slices/{slice_number}',
        {
          params: {
            path: { profile_id: id, slice_number: String(slice) },
            query: { rank }
          },
          signal
        }
      )
    );
  }

  search(
    id: string,
    rank: number | null,
    body: ISliceSearch,
    signal: AbortSignal
  ): Promise<IFoundSlices> {
    return this._api.data(
      this._api.http.POST('/profiles/{profile_id}/timeline/search', {
        params: { path: { profile_id: id }, query: { rank } },
        body,
        signal
      })
    );
  }

  sums(
    id: string,
    rank: number | null,
    body: ISumsQuery,
    signal: AbortSignal
  ): Promise<ISums> {
    return this._api.data(
      this._api.http.POST('/profiles/{profile_id}/timeline/sums', {
        params: { path: { profile_id: id }, query: { rank } },
        body,
        signal
      })
    );
  }
}
