import { ServerConnection } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import { PathExt, URLExt } from '@jupyterlab/coreutils';

import type { components } from '../api/generated';
import type { GenOpsApi } from '../core';
import { ApiError } from '../core';

export type IGateReport = components['schemas']['GateReport'];
export type IRuleVerdict = components['schemas']['RuleVerdict'];
export type IPromotion = components['schemas']['Promotion'];
export type Verdict = IGateReport['verdict'];

/** A gate file as the page read it. */
export interface IGateFile {
  path: string;
  text: string;
}

/** The operations of gates on one version. Each call rejects with an ApiError. */
export class GatesService {
  constructor(
    private _api: GenOpsApi,
    readonly version: { name: string; version: string },
    private _trans: TranslationBundle
  ) {}

  /** The last report on the version; null before the first. */
  async last(signal?: AbortSignal): Promise<IGateReport | null> {
    try {
      return await this._api.data(
        this._api.http.GET('/models/{name}/versions/{version}/gates', {
          params: { path: this.version },
          signal
        })
      );
    } catch (reason) {
      const error = ApiError.from(reason, this._trans);
      if (error.code === 'not_found') {
        return null;
      }
      throw error;
    }
  }

  /** Judge the version. An abort ends the check on the server too. */
  check(file: IGateFile, signal?: AbortSignal): Promise<IGateReport> {
    return this._api.data(
      this._api.http.POST('/models/{name}/versions/{version}/gates', {
        params: { path: this.version },
        body: bodyOf(file),
        signal
      })
    );
  }

  /** Judge the version and move the alias. An abort ends this, unless the alias is being moved. */
  promote(
    file: IGateFile,
    alias: string,
    reason: string,
    signal?: AbortSignal
  ): Promise<IPromotion> {
    return this._api.data(
      this._api.http.POST('/models/{name}/versions/{version}/promote', {
        params: { path: this.version },
        body: { ...bodyOf(file), alias, reason },
        signal
      })
    );
  }

  /** Read a gate file from the folder of the Jupyter server. */
  async read(path: string): Promise<IGateFile> {
    const settings = this._api.serverSettings;
    const url = URLExt.join(
      settings.baseUrl,
      'api/contents',
      URLExt.encodeParts(path)
    );
    let answer: Response;
    try {
      answer = await ServerConnection.makeRequest(
        `${url}?type=file&format=text&content=1`,
        {},
        settings
      );
    } catch (reason) {
      throw ApiError.network(this._trans, reason);
    }
    if (!answer.ok) {
      throw new ApiError({
        status: answer.status,
        code: 'not_found',
        message: this._trans.__(
          'The gate file %1 cannot be read.',
          PathExt.basename(path)
        ),
        hint: this._trans.__(
          'Write one in a terminal: genops gates init. The path begins at the folder of JupyterLab.'
        )
      });
    }
    const { content } = (await answer.json()) as { content: string };
    return { path, text: content };
  }
}

function bodyOf({
  path,
  text
}: IGateFile): components['schemas']['CheckGates'] {
  // Commands of a gate file run on the command line only, never for a page.
  return {
    text,
    file: path,
    folder: '',
    commit: '',
    commands: []
  };
}
