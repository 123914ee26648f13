import type { components } from '../../api/generated';
import type { GenOpsApi } from '../../core';

type Schemas = components['schemas'];
export type IRunSort = Schemas['RunSort'];
export type ILifecycle = Schemas['RunTableQuery']['lifecycle'];
export type IRunTable = Schemas['RunTable'];
export type IRunColumn = Schemas['RunColumn'];
export type IRunColumns = Schemas['RunColumns'];
export type IRunColumnInfo = Schemas['RunColumnInfo'];
export type IRunGroup = Schemas['RunGroup'];
export type IGrouping = Schemas['RunGrouping'];
export type IAggregate = 'mean' | 'min' | 'max';
export type IRunsState = Schemas['RunsState'];
export type ICompletion = Schemas['Completion'];

/** A choice of runs, their order and the values to return. */
export interface IQuestion {
  readonly experiments: string[];
  readonly query: string;
  readonly sort: IRunSort[];
  readonly lifecycle: ILifecycle;
  readonly columns: string[];
  /** Groups of runs, whose heads are rows too. */
  readonly groups?: IGrouping;
}

/** Return the browser's time zone, where days of a query begin. */
export function timeZone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}

/** Runs in one request. */
export const MOST_ROWS = 1000;

/** The server calls of the run table. */
export class RunTableService {
  constructor(private _api: GenOpsApi) {}

  /** Return the runs from `offset` on. */
  window(
    question: IQuestion,
    offset: number,
    limit: number,
    signal?: AbortSignal
  ): Promise<IRunTable> {
    const { http } = this._api;
    const groups = question.groups ?? null;
    const time_zone = timeZone();
    const body = { ...question, groups, offset, limit, wait_s: 0, time_zone };
    return this._api.data(http.POST('/run-table', { body, signal }));
  }

  columns(signal?: AbortSignal): Promise<IRunColumns> {
    const { http } = this._api;
    return this._api.data(http.GET('/run-table/columns', { signal }));
  }

  /** Return how many runs are read, and how old the data is. */
  state(signal?: AbortSignal): Promise<IRunsState> {
    const { http } = this._api;
    return this._api.data(http.GET('/run-table/state', { signal }));
  }

  /** Return completions at a position of a query, in code points. */
  completions(
    text: string,
    position: number,
    signal?: AbortSignal
  ): Promise<ICompletion[]> {
    const { http } = this._api;
    const body = { text, position };
    return this._api.data(
      http.POST('/run-table/completions', { body, signal })
    );
  }

  async tag(run_ids: string[], set: Record<string, string>): Promise<void> {
    const { http } = this._api;
    const body = { run_ids, set };
    await this._api.data(http.POST('/run-table/tags', { body }));
  }

  /**
   * Delete runs; return the deployments of their models, which keep running.
   */
  async delete(run_ids: string[]): Promise<string[]> {
    const { http } = this._api;
    const body = { run_ids };
    const done = this._api.data(http.POST('/run-table/delete', { body }));
    return (await done).serving ?? [];
  }

  async undelete(run_ids: string[]): Promise<void> {
    const { http } = this._api;
    const body = { run_ids };
    await this._api.data(http.POST('/run-table/undelete', { body }));
  }

  /** Give MLflow's SQLite file statistics. */
  analyze(): Promise<IRunsState> {
    const { http } = this._api;
    return this._api.data(http.POST('/run-table/statistics', {}));
  }
}
