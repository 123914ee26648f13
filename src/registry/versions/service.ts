import type { GenOpsApi } from '../../core';
import type { IQuestion, IRunTable } from '../../experiments/table/service';
import { timeZone } from '../../experiments/table/service';
import type { ITableSource } from '../../experiments/table/subject';

/** The questions of the table of versions. The id of a row is "MODEL/VERSION". */
export class VersionTableService implements ITableSource {
  constructor(private _api: GenOpsApi) {}

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
    return this._api.data(http.POST('/version-table', { body, signal }));
  }

  columns(signal?: AbortSignal): ReturnType<ITableSource['columns']> {
    const { http } = this._api;
    return this._api.data(http.GET('/version-table/columns', { signal }));
  }

  state(signal?: AbortSignal): ReturnType<ITableSource['state']> {
    const { http } = this._api;
    return this._api.data(http.GET('/version-table/state', { signal }));
  }

  completions(
    text: string,
    position: number,
    signal?: AbortSignal
  ): ReturnType<ITableSource['completions']> {
    const { http } = this._api;
    const body = { text, position };
    return this._api.data(
      http.POST('/version-table/completions', { body, signal })
    );
  }

  /** Return one version with these columns; null if it does not exist. */
  async one(
    id: IVersionId,
    columns: readonly string[],
    signal?: AbortSignal
  ): Promise<IVersionRow | null> {
    const { model, version } = id;
    const question = {
      experiments: [],
      query: `model = '${model.replace(/'/g, "''")}' AND version = ${version}`,
      sort: [],
      lifecycle: 'all' as const,
      columns: [...columns]
    };
    const found = await this.window(question, 0, 1, signal);
    return found.run_ids.length === 0
      ? null
      : new Map(found.columns.map(each => [each.column, each.values[0]]));
  }
}

/** A version's values by column. */
export type IVersionRow = ReadonlyMap<string, number | string | null>;

export interface IVersionId {
  readonly model: string;
  readonly version: string;
}

/** Read the id of a row. */
export function versionOf(id: string): IVersionId {
  const at = id.lastIndexOf('/');
  return { model: id.slice(0, at), version: id.slice(at + 1) };
}
