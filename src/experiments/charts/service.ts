import type { components } from '../../api/generated';
import type { GenOpsApi } from '../../core';

type Schemas = components['schemas'];
export type IAxis = NonNullable<Schemas['HistoriesQuery']['x']>;
export type ISmoothing = Schemas['Smoothing'];
export type IHistoriesQuery = Schemas['HistoriesQuery'];
export type IRunHistory = Schemas['RunHistory'];
export type IHistories = Schemas['Histories'];
export type IImportanceQuery = Schemas['ImportanceQuery'];
export type IImportance = Schemas['Importance'];

/** Runs in one request for histories. */
export const MOST_HISTORIES = 200;

/** The server calls of the charts. */
export class ChartsService {
  constructor(private _api: GenOpsApi) {}

  histories(body: IHistoriesQuery, signal?: AbortSignal): Promise<IHistories> {
    const { http } = this._api;
    return this._api.data(http.POST('/run-charts/histories', { body, signal }));
  }

  importance(
    body: IImportanceQuery,
    signal?: AbortSignal
  ): Promise<IImportance> {
    const { http } = this._api;
    return this._api.data(
      http.POST('/run-charts/importance', { body, signal })
    );
  }
}
