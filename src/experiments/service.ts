import type { components } from '../api/generated';
import type { GenOpsApi } from '../core';
import { everyPage } from '../core';

export type IExperiment = components['schemas']['Experiment'];
export type IRun = components['schemas']['Run'];
export type IRunPage = components['schemas']['Page_Run_'];
export type IRunDetail = components['schemas']['RunDetail'];
export type IRelatedRun = components['schemas']['RelatedRun'];
export type IRunOutput = components['schemas']['RunOutput'];
export type IRunMetrics = components['schemas']['RunMetrics'];
export type IRestoredNotebook = components['schemas']['RestoredNotebook'];
export type ILatestMetrics = components['schemas']['LatestMetrics'];
export type IRunLinks = components['schemas']['RunLinks'];
export type IMlflowUi = components['schemas']['MlflowUi'];
export type ISeries = components['schemas']['Series'];
export type ILoggedModel = components['schemas']['LoggedModel'];
export type IArtifact = components['schemas']['Artifact'];

/** A query for runs. */
export interface IRunQuery {
  /** A name or an id; empty for all. */
  experiment: string;
  /** An MLflow filter string; empty for none. */
  filter: string;
}

/** Runs in one request. */
export const PAGE = 50;

/** The server calls of the experiments feature. */
export class ExperimentsService {
  constructor(api: GenOpsApi) {
    this._api = api;
  }

  experiments(signal?: AbortSignal): Promise<IExperiment[]> {
    const { http } = this._api;
    return everyPage(
      query =>
        this._api.data(http.GET('/experiments', { params: { query }, signal })),
      ({ id }) => id
    );
  }

  /** Return a page of runs, newest first. */
  runs(query: IRunQuery, after = '', signal?: AbortSignal): Promise<IRunPage> {
    const { http } = this._api;
    const params = { query: { ...query, limit: PAGE, after } };
    return this._api.data(http.GET('/runs', { params, signal }));
  }

  run(run_id: string, signal?: AbortSignal): Promise<IRunDetail> {
    const { http } = this._api;
    const params = { path: { run_id } };
    return this._api.data(http.GET('/runs/{run_id}', { params, signal }));
  }

  /**
   * Return the printed output of a run: the beginning and the end of each
   * stream.
   */
  output(run_id: string, signal?: AbortSignal): Promise<IRunOutput> {
    const { http } = this._api;
    const params = { path: { run_id } };
    return this._api.data(
      http.GET('/runs/{run_id}/output', { params, signal })
    );
  }

  /**
   * Return the histories of a run's metrics: the points after a step (-1: all).
   */
  metrics(
    run_id: string,
    after_step: number,
    signal?: AbortSignal
  ): Promise<IRunMetrics> {
    const { http } = this._api;
    const params = { path: { run_id }, query: { after_step } };
    return this._api.data(
      http.GET('/runs/{run_id}/metrics', { params, signal })
    );
  }

  /**
   * Return the address of MLflow's own pages, which start with the first visit.
   */
  mlflowUi(): Promise<IMlflowUi> {
    return this._api.data(this._api.http.POST('/mlflow-ui'));
  }

  /**
   * Return a run's latest metrics with their steps and times, and whether the
   * run is stalled.
   */
  latest(run_id: string): Promise<ILatestMetrics> {
    const { http } = this._api;
    const params = { path: { run_id } };
    return this._api.data(http.GET('/runs/{run_id}/latest', { params }));
  }

  /** Return the links that open a run. */
  links(run_id: string): Promise<IRunLinks> {
    const { http } = this._api;
    const params = { path: { run_id } };
    return this._api.data(http.GET('/runs/{run_id}/links', { params }));
  }

  /** Return a notebook with the run's cells; nothing is written. */
  restoredNotebook(run_id: string): Promise<IRestoredNotebook> {
    const { http } = this._api;
    const params = { path: { run_id } };
    return this._api.data(http.GET('/runs/{run_id}/notebook', { params }));
  }

  private _api: GenOpsApi;
}
