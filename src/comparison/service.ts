import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import type { components } from '../api/generated';
import type { GenOpsApi } from '../core';

type Schemas = components['schemas'];
export type IRunComparison = Schemas['RunComparison'];
export type IComparedRun = Schemas['ComparedRun'];
export type IComparedRow = Schemas['ComparedRow'];
export type IMetricRow = Schemas['MetricRow'];
export type IMetricCell = Schemas['MetricCell'];
export type IEstimate = Schemas['Estimate'];
export type ITextChange = Schemas['TextChange'];
export type IArtifactRow = Schemas['ArtifactRow'];
export type IArtifactEntry = Schemas['ArtifactEntry'];
export type IComparisonQuery = Schemas['ComparisonQuery'];
export type IRun = Schemas['Run'];

/** Runs that are offered for a comparison. */
const OFFERED = 200;

/** The calls of a comparison. */
export class ComparisonService {
  constructor(private _api: GenOpsApi) {}

  compare(
    body: IComparisonQuery,
    signal?: AbortSignal
  ): Promise<IRunComparison> {
    const { http } = this._api;
    return this._api.data(
      http.POST('/genops/run-comparison', { body, signal })
    );
  }

  /** The newest runs, to choose from. */
  async runs(): Promise<IRun[]> {
    const { http } = this._api;
    const params = { query: { limit: OFFERED } };
    const page = await this._api.data(http.GET('/genops/runs', { params }));
    return page.runs;
  }

  /** Where a browser gets an artifact, as a file and nothing else. */
  artifactUrl(runId: string, path: string): string {
    const url = URLExt.join(
      this._api.serverSettings.baseUrl,
      'genops/runs',
      encodeURIComponent(runId),
      'artifact'
    );
    return url + URLExt.objectToQueryString({ path });
  }

  /** An artifact's bytes; null when there are more than `most`. */
  async artifact(
    runId: string,
    path: string,
    most: number,
    signal: AbortSignal
  ): Promise<Uint8Array<ArrayBuffer> | null> {
    const response = await ServerConnection.makeRequest(
      this.artifactUrl(runId, path),
      { signal },
      this._api.serverSettings
    );
    if (!response.ok) {
      throw new Error(await response.text());
    }
    const parts: Uint8Array<ArrayBuffer>[] = [];
    let size = 0;
    const reader = response.body!.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) {
        break;
      }
      size += value.length;
      if (size > most) {
        await reader.cancel();
        return null;
      }
      parts.push(value);
    }
    return new Uint8Array(await new Blob(parts).arrayBuffer());
  }
}
