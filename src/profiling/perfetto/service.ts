import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';

import type { components } from '../../api/generated';
import type { GenOpsApi } from '../../core';
import { ApiError } from '../../core';

type Schemas = components['schemas'];
export type ICutQuery = Schemas['CutQuery'];
export type ITraceCut = Schemas['TraceCut'];

/**
 * Requests of the Perfetto view. Each call rejects with an ApiError, or with an
 * AbortError.
 */
export class PerfettoService {
  constructor(
    private _api: GenOpsApi,
    private _trans: TranslationBundle
  ) {}

  /** The address of the UI's page. */
  async page(signal: AbortSignal): Promise<string> {
    const { path } = await this._api.data(
      this._api.http.GET('/profiles/perfetto', { signal })
    );
    return URLExt.join(this._api.serverSettings.baseUrl, path);
  }

  cut(id: string, body: ICutQuery, signal: AbortSignal): Promise<ITraceCut> {
    return this._api.data(
      this._api.http.POST('/profiles/{profile_id}/perfetto', {
        params: { path: { profile_id: id } },
        body,
        signal
      })
    );
  }

  /** The data of a cut: JSON, or gzipped JSON. */
  async bytes({ path }: ITraceCut, signal: AbortSignal): Promise<ArrayBuffer> {
    const { serverSettings } = this._api;
    const url = URLExt.join(serverSettings.baseUrl, path);
    const answer = await ServerConnection.makeRequest(
      url,
      { signal },
      serverSettings
    );
    if (!answer.ok) {
      throw ApiError.fromAnswer(
        answer.status,
        url,
        await answer.text(),
        this._trans
      );
    }
    return answer.arrayBuffer();
  }
}
