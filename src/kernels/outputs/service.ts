import { URLExt } from '@jupyterlab/coreutils';

import type { components } from '../../api/generated';
import type { GenOpsApi } from '../../core';

export type IExecution = components['schemas']['Execution'];
export type IExecutions = components['schemas']['Executions'];
export type ITextPart = components['schemas']['TextPart'];

/** Calls about recorded outputs. Each rejects with an ApiError. */
export class OutputsService {
  constructor(private _api: GenOpsApi) {}

  /**
   * The executions of a kernel that are not known to be in a saved document,
   * and those in `open`.
   */
  executions(
    kernelId: string,
    open: string[],
    signal?: AbortSignal
  ): Promise<IExecutions> {
    return this._api.data(
      this._api.http.GET('/kernels/{kernel_id}/executions', {
        params: {
          path: { kernel_id: kernelId },
          query: open.length ? { open: open.join() } : {}
        },
        signal
      })
    );
  }

  /** Lines of the full output of a run, from line `offset` on. */
  text(
    kernelId: string,
    msgId: string,
    offset: number,
    limit: number,
    signal?: AbortSignal
  ): Promise<ITextPart> {
    return this._api.data(
      this._api.http.GET('/outputs/{kernel_id}/{msg_id}/text', {
        params: {
          path: { kernel_id: kernelId, msg_id: msgId },
          query: { offset, limit }
        },
        signal
      })
    );
  }

  /**
   * The next line that contains a text; after the last line the search starts
   * again. Null for none.
   */
  async findText(
    kernelId: string,
    msgId: string,
    text: string,
    offset: number,
    signal?: AbortSignal
  ): Promise<number | null> {
    const found = await this._api.data(
      this._api.http.GET('/outputs/{kernel_id}/{msg_id}/find', {
        params: {
          path: { kernel_id: kernelId, msg_id: msgId },
          query: { text, offset }
        },
        signal
      })
    );
    return found.line ?? null;
  }

  /**
   * The URL of the full output as a file; the cookie of the browser's session
   * opens it.
   */
  downloadUrl(kernelId: string, msgId: string): string {
    return URLExt.join(
      this._api.serverSettings.baseUrl,
      'genops/outputs',
      encodeURIComponent(kernelId),
      encodeURIComponent(msgId),
      'download'
    );
  }

  /** The page has an execution's outputs in its document, and has saved it. */
  async done(kernelId: string, msgId: string): Promise<void> {
    await this._api.http.POST('/kernels/{kernel_id}/executions/{msg_id}/done', {
      params: { path: { kernel_id: kernelId, msg_id: msgId } }
    });
  }
}
