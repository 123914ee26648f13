/** Reads runs that may not be among the fetched rows. */
import type { IFrame } from './copies';
import type { GroupPath } from './groups';
import type { RunSelection } from './selection';
import type { IQuestion } from './service';
import type { ITableSource } from './subject';
import { MOST_ROWS } from './service';
import type { IRow } from './rows';

/** Ids of runs, and the values of columns in the same order. */
export interface ISelected {
  readonly ids: string[];
  readonly frame: IFrame;
}

/**
 * Return the selected ones of the `matched` runs, in the order of the question.
 * @throws ApiError
 */
export async function readSelected(
  service: ITableSource,
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

/**
 * Return the ids of the rows from `first` to before `end`; a closed group
 * stands for its runs. `rows` are the fetched ones. @throws ApiError
 */
export async function readIds(
  service: ITableSource,
  question: IQuestion,
  rows: readonly IRow[],
  first: number,
  end: number
): Promise<string[]> {
  const ids: string[] = [];
  const closed: GroupPath[] = [];
  const part = rows.slice(first, end);
  if (part.every(({ id, group }) => id !== null || group !== null)) {
    for (const { id, group } of part) {
      if (id) {
        ids.push(id);
      } else if (group && !group.open) {
        closed.push(group.path);
      }
    }
  } else {
    for (let offset = first; offset < end; offset += MOST_ROWS) {
      const limit = Math.min(MOST_ROWS, end - offset);
      const answer = await service.window(question, offset, limit);
      ids.push(...answer.run_ids.filter(Boolean));
      closed.push(
        ...answer.groups.filter(({ open }) => !open).map(({ path }) => path)
      );
    }
  }
  return closed.length > 0
    ? [...ids, ...(await readGroups(service, question, closed))]
    : ids;
}

/** Return the ids of the runs of these groups. @throws ApiError */
export async function readGroups(
  service: ITableSource,
  question: IQuestion,
  paths: readonly GroupPath[]
): Promise<string[]> {
  const { groups } = question;
  if (!groups) {
    return [];
  }
  const ids: string[] = [];
  const within = { ...groups, within: paths.map(path => [...path]) };
  for (let all = Infinity; ids.length < all;) {
    const answer = await service.window(
      { ...question, groups: within },
      ids.length,
      MOST_ROWS
    );
    if (answer.run_ids.length === 0) {
      break;
    }
    ids.push(...answer.run_ids);
    all = answer.matched;
  }
  return ids;
}

/**
 * Return the text of one column of one run, or an empty text. @throws ApiError
 */
export async function readValue(
  service: ITableSource,
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
