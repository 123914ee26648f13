import type { components } from '../../api/generated';
import type { GenOpsApi } from '../../core/request';

export type IEndpoint = components['schemas']['ModelEndpoint'];
export type IEndpoints = components['schemas']['ModelEndpoints'];
export type IEndpointTest = components['schemas']['EndpointTest'];
export type IEndpointStep = components['schemas']['EndpointStep'];
export type IPrice = components['schemas']['Price'];
export type IKnownPrice = components['schemas']['KnownPrice'];
export type INewEndpoint = components['schemas']['NewEndpoint'];

/** The operations of models that answer. Each call rejects with an ApiError. */
export class EndpointsService {
  constructor(private _api: GenOpsApi) {}

  list(signal?: AbortSignal): Promise<IEndpoints> {
    return this._api.data(this._api.http.GET('/endpoints', { signal }));
  }

  add(body: INewEndpoint): Promise<IEndpoint> {
    return this._api.data(this._api.http.POST('/endpoints', { body }));
  }

  async delete(name: string): Promise<void> {
    const params = { path: { name } };
    await this._api.data(
      this._api.http.DELETE('/endpoints/{name}', { params })
    );
  }

  /** Test step by step; `accept` makes the answers those that later tests compare with. */
  test(
    name: string,
    accept = false,
    signal?: AbortSignal
  ): Promise<IEndpointTest> {
    const params = { path: { name } };
    return this._api.data(
      this._api.http.POST('/endpoints/{name}/test', {
        params,
        body: { accept },
        signal
      })
    );
  }

  /** The price of a model in LiteLLM's table, and whether LiteLLM is installed. */
  price(model: string): Promise<IKnownPrice> {
    const params = { query: { model } };
    return this._api.data(this._api.http.GET('/endpoint-price', { params }));
  }

  /** The names of secrets. */
  async secrets(): Promise<string[]> {
    const found = await this._api.data(
      this._api.http.GET('/deployment-secrets')
    );
    return found.map(({ name }) => name);
  }
}
