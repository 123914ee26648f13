import type { components } from '../../api/generated';
import type { GenOpsApi } from '../../core';
import { ApiError } from '../../core';
import type {
  IQuestion,
  IRunColumns,
  IRunTable
} from '../../experiments/table/service';
import { timeZone } from '../../experiments/table/service';
import type { ITableSource } from '../../experiments/table/subject';

type Schemas = components['schemas'];
export type ITrace = Schemas['Trace'];
export type ISpan = Schemas['Span'];
export type ITokens = Schemas['Tokens'];
export type ISpanContent = Schemas['SpanContent'];
export type IChatTurn = Schemas['ChatTurn'];
export type IText = Schemas['Text'];
export type IAssessment = Schemas['Assessment'];
export type ITraceComparison = Schemas['TraceComparison'];
export type ISpanPair = Schemas['SpanPair'];
export type ISession = Schemas['Session'];
export type ISessionTrace = Schemas['SessionTrace'];
export type IAddedRows = Schemas['AddedRows'];

/** Characters of each text that are fetched at first. */
export const FIRST_CHARACTERS = 20_000;
/** Characters of each text that are fetched on demand. */
export const MOST_CHARACTERS = 5_000_000;
/** The same of a session, which may have a hundred traces. */
export const FIRST_OF_SESSION = 5_000;
export const MOST_OF_SESSION = 200_000;

/** The questions of the page of traces. The id of a row is a trace's. */
export class TracesService implements ITableSource {
  /** `first` is the answer for the first look at the columns, where it was asked for before. */
  constructor(
    private _api: GenOpsApi,
    private _first?: Promise<IRunColumns | undefined>
  ) {}

  window(
    question: IQuestion,
    offset: number,
    limit: number,
    signal?: AbortSignal
  ): Promise<IRunTable> {
    const { http } = this._api;
    const groups = question.groups ?? null;
    const time_zone = timeZone();
    const body = { ...question, groups, offset, limit, wait_s: 0, time_zone };
    return this._withContent(
      () => this._api.data(http.POST('/trace-content/query', { body, signal })),
      () => this._api.data(http.POST('/traces/query', { body, signal }))
    );
  }

  async columns(signal?: AbortSignal): Promise<IRunColumns> {
    const first = this._first;
    this._first = undefined;
    const { http } = this._api;
    return (
      (await first) ??
      (await this._api.data(http.GET('/traces/columns', { signal })))
    );
  }

  state(signal?: AbortSignal): ReturnType<ITableSource['state']> {
    const { http } = this._api;
    return this._api.data(http.GET('/traces/state', { signal }));
  }

  completions(
    text: string,
    position: number,
    signal?: AbortSignal
  ): ReturnType<ITableSource['completions']> {
    const { http } = this._api;
    const body = { text, position };
    return this._api.data(http.POST('/traces/completions', { body, signal }));
  }

  /** Return a trace with its spans; what each was asked and answered is read span by span. */
  trace(trace_id: string, signal?: AbortSignal): Promise<ITrace> {
    const { http } = this._api;
    const asked = { params: { path: { trace_id } }, signal };
    return this._withContent(
      () => this._api.data(http.GET('/trace-content/{trace_id}', asked)),
      () => this._api.data(http.GET('/traces/{trace_id}', asked))
    );
  }

  /** Return what a span was asked and what it answered; of each text so many characters. */
  content(
    trace_id: string,
    span_id: string,
    characters: number,
    signal?: AbortSignal
  ): Promise<ISpanContent> {
    const { http } = this._api;
    const params = { path: { trace_id, span_id }, query: { characters } };
    return this._api.data(
      http.GET('/trace-content/{trace_id}/spans/{span_id}', { params, signal })
    );
  }

  /** Return the traces of a session as one conversation; with an experiment, its traces alone. */
  session(
    session: string,
    experiment: string,
    characters: number,
    signal?: AbortSignal
  ): Promise<ISession> {
    const { http } = this._api;
    const body = { session, experiment, characters };
    return this._withContent(
      () =>
        this._api.data(http.POST('/trace-content/session', { body, signal })),
      () => this._api.data(http.POST('/traces/session', { body, signal }))
    );
  }

  compare(
    first: string,
    second: string,
    signal?: AbortSignal
  ): Promise<ITraceComparison> {
    const { http } = this._api;
    const body = { first, second };
    return this._api.data(http.POST('/traces/compare', { body, signal }));
  }

  /** Make rows of traces in an MLflow data set; the set is made if it does not exist. */
  addRows(trace_ids: string[], dataset: string): Promise<IAddedRows> {
    const { http } = this._api;
    const body = { trace_ids, dataset, with_answer: false };
    return this._api.data(http.POST('/trace-content/rows', { body }));
  }

  /** An operator may forbid reading what was said: everything else is then still shown. */
  private async _withContent<T>(
    read: () => Promise<T>,
    readWithout: () => Promise<T>
  ): Promise<T> {
    if (this._readsContent) {
      try {
        return await read();
      } catch (reason) {
        if (!(reason instanceof ApiError) || reason.status !== 403) {
          throw reason;
        }
        this._readsContent = false;
      }
    }
    return readWithout();
  }

  private _readsContent = true;
}
