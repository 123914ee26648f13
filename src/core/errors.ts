import { ServerConnection } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';

/** The only error type that views handle: a message and a hint. */
export class ApiError extends Error {
  /** The HTTP status, or 0 when no answer came. */
  readonly status: number;
  /** Stable, for programs: `not_found`, `unavailable`, `network`, ... */
  readonly code: string;
  /** What to do next; may be empty. */
  readonly hint: string;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(options: ApiError.IOptions) {
    super(options.message);
    this.name = 'ApiError';
    this.status = options.status;
    this.code = options.code;
    this.hint = options.hint ?? '';
    this.details = options.details ?? {};
  }

  /** Whether the same call may succeed later. */
  get transient(): boolean {
    return !['invalid', 'not_found', 'conflict', 'not_allowed'].includes(
      this.code
    );
  }
}

export namespace ApiError {
  export interface IOptions {
    status: number;
    code: string;
    message: string;
    hint?: string;
    details?: Record<string, unknown>;
  }

  /** Any thrown value as an ApiError. */
  export function from(reason: unknown, trans: TranslationBundle): ApiError {
    if (reason instanceof ApiError) {
      return reason;
    }
    // JupyterLab's own requests, such as for a file.
    if (reason instanceof ServerConnection.NetworkError) {
      return network(trans, reason);
    }
    if (reason instanceof Error && reason.name === 'ChunkLoadError') {
      return new ApiError({
        status: 0,
        code: 'code_missing',
        message: trans.__('The server did not send the code of this view.'),
        hint: trans.__(
          'If GenOps Lab was upgraded after this page was opened, reload the page. Otherwise check that the Jupyter server is running, then try again.'
        ),
        details: { cause: reason.message }
      });
    }
    return new ApiError({
      status: 0,
      code: 'unexpected',
      message:
        reason instanceof Error
          ? reason.message
          : trans.__('An unexpected error happened.')
    });
  }

  /** The error of a request without an answer. */
  export function network(trans: TranslationBundle, cause: unknown): ApiError {
    return new ApiError({
      status: 0,
      code: 'network',
      message: trans.__('The Jupyter server does not answer.'),
      hint: trans.__(
        'Check that JupyterLab is running and that you are connected. This view reloads by itself.'
      ),
      details: { cause: cause instanceof Error ? cause.message : String(cause) }
    });
  }

  /**
   * The error of an answer with a status of 400 or more.
   *
   * GenOps Lab's own answers get another hint than those of a proxy, a hub or a
   * server without the extension.
   */
  export function fromAnswer(
    status: number,
    url: string,
    body: string,
    trans: TranslationBundle
  ): ApiError {
    const parsed = parse(body);
    const own = asRecord(asRecord(parsed)?.error);
    if (own && typeof own.code === 'string') {
      return new ApiError({
        status,
        code: own.code,
        message:
          typeof own.message === 'string' && own.message
            ? own.message
            : trans.__('The server answered with status %1.', status),
        hint: typeof own.hint === 'string' ? own.hint : '',
        details: asRecord(own.details) ?? {}
      });
    }
    if (status === 404) {
      return new ApiError({
        status,
        code: 'server_side_missing',
        message: trans.__("GenOps Lab's server extension does not answer."),
        hint: trans.__(
          'Run `jupyter server extension list` in the environment that starts JupyterLab. If genops_lab is listed as enabled and OK, restart the server.'
        ),
        details: { url }
      });
    }
    if (status === 401 || status === 403) {
      return new ApiError({
        status,
        code: 'signed_out',
        message: trans.__('The Jupyter server did not accept this request.'),
        hint: trans.__('Sign in again, then reload this page.'),
        details: { url }
      });
    }
    if (status === 502 || status === 503 || status === 504) {
      return new ApiError({
        status,
        code: 'gateway',
        message: trans.__(
          'A proxy answers, but the Jupyter server behind it does not.'
        ),
        hint: trans.__(
          'The server may still be starting. This view reloads by itself.'
        ),
        details: { url }
      });
    }
    const plain = asRecord(parsed)?.message;
    return new ApiError({
      status,
      code: 'http',
      message:
        typeof plain === 'string' && plain
          ? plain
          : trans.__('The server answered with status %1.', status),
      details: { url }
    });
  }

  function parse(body: string): unknown {
    try {
      return JSON.parse(body);
    } catch {
      return undefined;
    }
  }

  function asRecord(value: unknown): Record<string, unknown> | undefined {
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  }
}
