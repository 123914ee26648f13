import type { components } from '../../api/generated';
import type { GenOpsApi } from '../../core';

import { artifactBytes, artifactUrl } from './artifacts';

type Schemas = components['schemas'];
export type IRunMedia = Schemas['RunMedia'];
export type IMediaSeries = Schemas['MediaSeries'];
export type IMediaEntry = Schemas['MediaEntry'];
export type IHistograms = Schemas['HistogramSeries'];
export type IHistogramRow = Schemas['HistogramRow'];

/** The server calls for media by step. */
export class MediaService {
  constructor(private _api: GenOpsApi) {}

  media(run_id: string, signal?: AbortSignal): Promise<IRunMedia> {
    const { http } = this._api;
    const params = { path: { run_id } };
    return this._api.data(http.GET('/runs/{run_id}/media', { params, signal }));
  }

  histograms(
    run_id: string,
    name: string,
    signal?: AbortSignal
  ): Promise<IHistograms> {
    const { http } = this._api;
    const params = { path: { run_id }, query: { name } };
    return this._api.data(
      http.GET('/runs/{run_id}/histograms', { params, signal })
    );
  }

  artifactUrl(runId: string, path: string): string {
    return artifactUrl(this._api, runId, path);
  }

  /** Return an artifact's bytes; null if there are more than `most`. */
  artifact(
    runId: string,
    path: string,
    most: number,
    signal: AbortSignal
  ): Promise<Uint8Array<ArrayBuffer> | null> {
    return artifactBytes(this._api, runId, path, most, signal);
  }
}
