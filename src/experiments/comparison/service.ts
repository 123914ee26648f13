import type { components } from '../../api/generated';
import type { GenOpsApi } from '../../core';
import { artifactBytes, artifactUrl } from '../media/artifacts';

type Schemas = components['schemas'];
export type IRunComparison = Schemas['RunComparison'];
export type IComparedRow = Schemas['ComparedRow'];
export type IMetricCell = Schemas['MetricCell'];
export type IEstimate = Schemas['Estimate'];
export type ITextChange = Schemas['TextChange'];
export type IArtifactRow = Schemas['ArtifactRow'];
export type IArtifactEntry = Schemas['ArtifactEntry'];
export type IComparisonQuery = Schemas['ComparisonQuery'];
export type IRun = Schemas['Run'];

/** Runs that a comparison offers. */
const OFFERED = 200;

/** The server calls of a comparison. */
export class ComparisonService {
  constructor(private _api: GenOpsApi) {}

  compare(
    body: IComparisonQuery,
    signal?: AbortSignal
  ): Promise<IRunComparison> {
    const { http } = this._api;
    return this._api.data(http.POST('/run-comparison', { body, signal }));
  }

  /** Return the newest runs, to choose from. */
  async runs(): Promise<IRun[]> {
    const { http } = this._api;
    const params = { query: { limit: OFFERED } };
    const page = await this._api.data(http.GET('/runs', { params }));
    return page.items;
  }

  /** Return the URL of an artifact, which the browser gets only as a file. */
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
