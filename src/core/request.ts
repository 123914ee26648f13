import { ServerConnection } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import { UUID } from '@lumino/coreutils';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';
import type { Client } from 'openapi-fetch';
import createClient from 'openapi-fetch';

import type { paths } from '../api/generated';

import { ApiError } from './errors';

/**
 * The typed client of the server extension.
 *
 * Requests go through ServerConnection: base URL, token and XSRF cookie are those of
 * JupyterLab, also behind a hub or a proxy. A failed call rejects with an
 * {@link ApiError}, an aborted one with an AbortError.
 */
export class GenOpsApi {
  readonly serverSettings: ServerConnection.ISettings;
  /** Id of this page, kept over reloads: the server marks the page's tasks with it. */
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

  /** Emitted when a request got no answer: the server is away. */
  get unanswered(): ISignal<this, void> {
    return this._unanswered;
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

  /** Send the request in the same turn of the event loop, so that drawing does not delay it. */
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
      this._unanswered.emit();
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
  private _unanswered = new Signal<this, void>(this);
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

/** A request that keeps its body: reading it back takes several turns of the event loop. */
class SentRequest extends Request {
  constructor(input: RequestInfo | URL, init?: RequestInit) {
    super(input, init);
    this.sent = typeof init?.body === 'string' ? init.body : '';
  }

  readonly sent: string;
}
