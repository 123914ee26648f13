/** Reads runs that may not be among the rows that were seen. */
import type { IFrame } from './copies';
import type { RunSelection } from './selection';
import type { IQuestion, RunTableService } from './service';
import { MOST_ROWS } from './service';

/** Runs by their ids, and the values of columns in the same order. */
export interface ISelected {
  readonly ids: string[];
  readonly frame: IFrame;
}

/** The selected ones of the `matched` runs, in the order of the question. @throws ApiError */
export async function readSelected(
  service: RunTableService,
  question: IQuestion,
  selection: RunSelection,
  matched: number
): Promise<ISelected> {
  const ids: string[] = [];
  const rows: IFrame['rows'][number][] = [];
  const kinds = new Map<string, 'number' | 'text'>();
  const wanted = selection.count(matched);
  for (let offset = 0, all = Infinity; offset < all; offset += MOST_ROWS) {
    const answer = await service.window(question, offset, MOST_ROWS);
    all = answer.matched;
    answer.columns.forEach(each => kinds.set(each.column, each.kind));
    answer.run_ids.forEach((id, at) => {
      if (selection.has(id)) {
        ids.push(id);
        rows.push(answer.columns.map(({ values }) => values[at]));
      }
    });
    if (!selection.isAll && ids.length >= wanted) {
      break;
    }
  }
  const columns = question.columns.map(
    name => ({ name, kind: kinds.get(name) ?? 'text' }) as const
  );
  return { ids, frame: { columns, rows } };
}

/** The ids of the runs from `first` to before `end`. @throws ApiError */
export async function readIds(
  service: RunTableService,
  question: IQuestion,
  first: number,
  end: number
): Promise<string[]> {
  const ids: string[] = [];
  for (let offset = first; offset < end; offset += MOST_ROWS) {
    const limit = Math.min(MOST_ROWS, end - offset);
    ids.push(...(await service.window(question, offset, limit)).run_ids);
  }
  return ids;
}

/** The text of one column of one run; empty where it has none. @throws ApiError */
export async function readValue(
  service: RunTableService,
  runId: string,
  column: string
): Promise<string> {
  const answer = await service.window(
    {
      experiments: [],
      query: `run_id = '${runId.replace(/'/g, "''")}'`,
      sort: [],
      lifecycle: 'all',
      columns: [column]
    },
    0,
    1
  );
  return String(answer.columns[0]?.values[0] ?? '');
}
