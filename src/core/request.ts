import { ServerConnection } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import { UUID } from '@lumino/coreutils';
import type { Client } from 'openapi-fetch';
import createClient from 'openapi-fetch';

import type { paths } from '../api/generated';

import { ApiError } from './errors';

/**
 * The typed door to the server extension.
 *
 * Requests go through ServerConnection, so the base URL, the token and the XSRF
 * cookie are those of the Lab, behind a hub or a proxy as well. A failed call
 * rejects with an {@link ApiError}, never with anything else but an AbortError.
 */
export class GenOpsApi {
  readonly serverSettings: ServerConnection.ISettings;
  /** By what the server knows which tasks this page asked for; a reload keeps it. */
  readonly client = ownClient();
  /** `api.http.GET('/models')`; prefer it inside {@link data}. */
  readonly http: Client<paths>;

  constructor(options: GenOpsApi.IOptions) {
    this.serverSettings =
      options.serverSettings ?? ServerConnection.makeSettings();
    this._trans = options.trans;
    this.http = createClient<paths>({
      baseUrl: `${this.serverSettings.baseUrl}genops/v1`,
      Request: SentRequest,
      fetch: request => this._fetch(request as SentRequest)
    });
  }

  /**
   * The body of an answer: `await api.data(api.http.GET('/models'))`.
   *
   * @throws ApiError
   */
  async data<R extends { data?: unknown }>(
    call: Promise<R>
  ): Promise<Exclude<R['data'], undefined>> {
    return (await call).data as Exclude<R['data'], undefined>;
  }

  /** Leaves in the turn in which it is called: what is drawn next does not hold up the server. */
  private async _fetch(request: SentRequest): Promise<Response> {
    const { method, url, signal, sent: body } = request;
    let response: Response;
    try {
      response = await ServerConnection.makeRequest(
        url,
        {
          method,
          signal,
          headers: {
            ...Object.fromEntries(request.headers.entries()),
            'X-GenOps-Client': this.client
          },
          ...(body ? { body } : {})
        },
        this.serverSettings
      );
    } catch (reason) {
      if (signal.aborted) {
        throw new DOMException('Aborted', 'AbortError');
      }
      throw ApiError.network(this._trans, reason);
    }
    if (!response.ok) {
      throw ApiError.fromAnswer(
        response.status,
        url,
        await response.text(),
        this._trans
      );
    }
    return response;
  }

  private _trans: TranslationBundle;
}

export namespace GenOpsApi {
  export interface IOptions {
    serverSettings?: ServerConnection.ISettings;
    trans: TranslationBundle;
  }
}

const CLIENT_KEY = 'genops-lab:client';

function ownClient(): string {
  const client = sessionStorage.getItem(CLIENT_KEY) ?? UUID.uuid4();
  sessionStorage.setItem(CLIENT_KEY, client);
  return client;
}

/** A request whose body can be told without reading it back, which takes some turns of the event loop. */
class SentRequest extends Request {
  constructor(input: RequestInfo | URL, init?: RequestInit) {
    super(input, init);
    this.sent = typeof init?.body === 'string' ? init.body : '';
  }

  readonly sent: string;
}
