import type { components } from '../api/generated';
import type { GenOpsApi } from '../core';
import type { IRegisteredModel } from '../registry/service';

export type IBegunEvaluation = components['schemas']['BegunEvaluation'];
export type IEvaluation = components['schemas']['Evaluation'];
export type IEvaluationReport = components['schemas']['EvaluationReport'];
export type IJudgedMetric = components['schemas']['JudgedMetric'];
export type IMetricDifference = components['schemas']['MetricDifference'];
export type IMetricEstimate = components['schemas']['MetricEstimate'];
export type INewEvaluation = components['schemas']['NewEvaluation'];

/** The operations of evaluations. Each call rejects with an ApiError. */
export class EvaluationsService {
  constructor(private _api: GenOpsApi) {}

  /** The newest evaluation of a version on each data set. */
  ofVersion(
    name: string,
    version: string,
    signal?: AbortSignal
  ): Promise<IEvaluationReport[]> {
    return this._api.data(
      this._api.http.GET('/models/{name}/versions/{version}/evaluations', {
        params: { path: { name, version } },
        signal
      })
    );
  }

  /** The latest evaluations of a model, newest first. */
  async ofModel(model: string): Promise<IEvaluation[]> {
    const page = await this._api.data(
      this._api.http.GET('/evaluations', { params: { query: { model } } })
    );
    return page.items;
  }

  model(name: string): Promise<IRegisteredModel> {
    return this._api.data(
      this._api.http.GET('/models/{name}', { params: { path: { name } } })
    );
  }

  targets(): Promise<components['schemas']['Target'][]> {
    return this._api.data(this._api.http.GET('/targets'));
  }

  evaluate(body: INewEvaluation): Promise<IBegunEvaluation> {
    return this._api.data(this._api.http.POST('/evaluations', { body }));
  }
}
