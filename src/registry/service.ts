import type { components } from '../api/generated';
import type { GenOpsApi, IPage, IPageQuery } from '../core';
import { everyPage } from '../core';

export type IRegisteredModel = components['schemas']['RegisteredModel'];
export type IModelVersion = components['schemas']['ModelVersion'];
export type ISetAlias = components['schemas']['SetAlias'];
export type IModelFacts = components['schemas']['ModelFacts'];
export type IFileFacts = components['schemas']['FileFacts'];
export type IModelField = components['schemas']['ModelField'];
export type IRegisterModel = components['schemas']['RegisterModel'];
export type ILoggedModel = components['schemas']['LoggedModel'];
export type IRun = components['schemas']['Run'];

/** Number of latest runs in the form's list. */
const OFFERED_RUNS = 50;

/** The operations of registered models. Each call rejects with an ApiError. */
export class ModelsService {
  constructor(private _api: GenOpsApi) {}

  /** The client of the server, for calls that load on use. */
  get api(): GenOpsApi {
    return this._api;
  }

  page(
    query: IPageQuery,
    signal?: AbortSignal
  ): Promise<IPage<IRegisteredModel>> {
    const params = { query };
    return this._api.data(this._api.http.GET('/models', { params, signal }));
  }

  /** All registered models, each with its newest versions. */
  list(): Promise<IRegisteredModel[]> {
    return everyPage(
      query => this.page(query),
      ({ name }) => name
    );
  }

  /** The next page of a model's versions, newest first. */
  versions(name: string, after: string): Promise<IPage<IModelVersion>> {
    const params = { path: { name }, query: { after } };
    return this._api.data(
      this._api.http.GET('/models/{name}/versions', { params })
    );
  }

  /** What the files of a version say, read without loading them. */
  facts(
    name: string,
    version: string,
    signal?: AbortSignal
  ): Promise<IModelFacts> {
    const params = { path: { name, version } };
    return this._api.data(
      this._api.http.GET('/models/{name}/versions/{version}/facts', {
        params,
        signal
      })
    );
  }

  register(body: IRegisterModel): Promise<IModelVersion> {
    return this._api.data(this._api.http.POST('/models', { body }));
  }

  /** Point an alias at a version; with `expected` only if the alias names that version now (empty: none). */
  setAlias(
    name: string,
    alias: string,
    move: Pick<ISetAlias, 'version' | 'reason' | 'expected'>
  ): Promise<IRegisteredModel> {
    return this._api.data(
      this._api.http.PUT('/models/{name}/aliases/{alias}', {
        params: { path: { name, alias } },
        body: { ...move, evidence: {} }
      })
    );
  }

  /** Remove an alias; with `expected` only from this version. */
  deleteAlias(
    name: string,
    alias: string,
    expected?: string
  ): Promise<IRegisteredModel> {
    return this._api.data(
      this._api.http.DELETE('/models/{name}/aliases/{alias}', {
        params: { path: { name, alias }, query: { expected } }
      })
    );
  }

  /** The latest runs, newest first. */
  async runs(): Promise<IRun[]> {
    const page = await this._api.data(
      this._api.http.GET('/runs', {
        params: { query: { limit: OFFERED_RUNS } }
      })
    );
    return page.items;
  }

  /** The models that a run logged. */
  async loggedModels(runId: string): Promise<ILoggedModel[]> {
    const detail = await this._api.data(
      this._api.http.GET('/runs/{run_id}', {
        params: { path: { run_id: runId } }
      })
    );
    return detail.models;
  }
}
