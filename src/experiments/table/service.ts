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

/** Which runs, in which order, with which values. */
export interface IQuestion {
  readonly experiments: string[];
  readonly query: string;
  readonly sort: IRunSort[];
  readonly lifecycle: ILifecycle;
  readonly columns: string[];
  /** Runs in groups, whose heads are rows too. */
  readonly groups?: IGrouping;
}

/** How many runs a request may bring. */
export const MOST_ROWS = 1000;

/** The calls of the run table. */
export class RunTableService {
  constructor(private _api: GenOpsApi) {}

  /** The runs from `offset` on. */
  window(
    question: IQuestion,
    offset: number,
    limit: number,
    signal?: AbortSignal
  ): Promise<IRunTable> {
    const { http } = this._api;
    const groups = question.groups ?? null;
    const body = { ...question, groups, offset, limit, wait_s: 0 };
    return this._api.data(http.POST('/run-table', { body, signal }));
  }

  columns(signal?: AbortSignal): Promise<IRunColumns> {
    const { http } = this._api;
    return this._api.data(http.GET('/run-table/columns', { signal }));
  }

  /** How far the runs are read, and of when they are. */
  state(signal?: AbortSignal): Promise<IRunsState> {
    const { http } = this._api;
    return this._api.data(http.GET('/run-table/state', { signal }));
  }

  /** What may stand at a place of a query, counted in code points. */
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

  /** Delete runs; answers with the deployments of their models, which go on. */
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
