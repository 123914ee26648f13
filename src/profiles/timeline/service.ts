import type { components } from '../../api/generated';
import type { GenOpsApi } from '../../core';
import type { IProfile } from '../service';

type Schemas = components['schemas'];
export type ITimeline = Schemas['Timeline'];
export type ITimelineLane = Schemas['TimelineLane'];
export type ITimelineSlice = Schemas['TimelineSlice'];
export type ITimelineTile = Schemas['TimelineTile'];
export type ISliceDetails = Schemas['SliceDetails'];
export type ISliceSearch = Schemas['SliceSearch'];
export type IFoundSlices = Schemas['FoundSlices'];
export type ISums = Schemas['Sums'];
export type ISumsQuery = Schemas['SumsQuery'];
export type ITileKey = Schemas['TileKey'];

/** What a timeline asks of the server. Each call rejects with an ApiError. */
export class TimelineService {
  constructor(private _api: GenOpsApi) {}

  /** A profile of a file that the file browser shows, analysed where there is none yet. */
  open(path: string): Promise<IProfile> {
    return this._api.data(
      this._api.http.POST('/genops/profiles/open', { body: { path } })
    );
  }

  timeline(id: string, signal?: AbortSignal): Promise<ITimeline> {
    return this._api.data(
      this._api.http.GET('/genops/profiles/{profile_id}/timeline', {
        params: { path: { profile_id: id } },
        signal
      })
    );
  }

  async tiles(
    id: string,
    tiles: ITileKey[],
    signal: AbortSignal
  ): Promise<ITimelineTile[]> {
    const answer = await this._api.data(
      this._api.http.POST('/genops/profiles/{profile_id}/timeline/tiles', {
        params: { path: { profile_id: id } },
        body: { tiles },
        signal
      })
    );
    return answer.tiles;
  }

  slice(
    id: string,
    slice: number,
    signal: AbortSignal
  ): Promise<ISliceDetails> {
    return this._api.data(
      this._api.http.GET(
        '/genops/profiles/{profile_id}/timeline/slices/{slice_number}',
        {
          params: { path: { profile_id: id, slice_number: String(slice) } },
          signal
        }
      )
    );
  }

  search(
    id: string,
    body: ISliceSearch,
    signal: AbortSignal
  ): Promise<IFoundSlices> {
    return this._api.data(
      this._api.http.POST('/genops/profiles/{profile_id}/timeline/search', {
        params: { path: { profile_id: id } },
        body,
        signal
      })
    );
  }

  sums(id: string, body: ISumsQuery, signal: AbortSignal): Promise<ISums> {
    return this._api.data(
      this._api.http.POST('/genops/profiles/{profile_id}/timeline/sums', {
        params: { path: { profile_id: id } },
        body,
        signal
      })
    );
  }
}
