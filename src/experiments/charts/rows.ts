/** Values of many runs, by column. */
import type { CellValue } from '../table/rows';
import type { IQuestion, RunTableService } from '../table/service';
import { MOST_ROWS } from '../table/service';

/** Runs in the table's order. */
export interface IRows {
  readonly ids: readonly string[];
  readonly columns: ReadonlyMap<string, readonly CellValue[]>;
  /** The number of matching runs, which may be more than the rows. */
  readonly matched: number;
}

export const NO_ROWS: IRows = { ids: [], columns: new Map(), matched: 0 };

/** Runs in one picture. */
export const MOST_SHOWN = 10_000;

/** Return the first `most` matching runs. @throws ApiError */
export async function readRows(
  service: Pick<RunTableService, 'window'>,
  question: IQuestion,
  most: number,
  signal: AbortSignal
): Promise<IRows> {
  const read = (offset: number) =>
    service.window(
      question,
      offset,
      Math.min(MOST_ROWS, most - offset),
      signal
    );
  const first = await read(0);
  const end = Math.min(first.matched, most);
  const offsets: number[] = [];
  for (let offset = MOST_ROWS; offset < end; offset += MOST_ROWS) {
    offsets.push(offset);
  }
  const parts = [first, ...(await Promise.all(offsets.map(read)))];
  // A run that moved between two requests is in both.
  const places = new Map<string, [number, number]>();
  parts.forEach((part, number) =>
    part.run_ids.forEach((id, at) => places.set(id, [number, at]))
  );
  const kept = [...places];
  return {
    ids: kept.map(([id]) => id),
    columns: new Map(
      question.columns.map(column => {
        const values = parts.map(
          part => part.columns.find(each => each.column === column)?.values
        );
        return [
          column,
          kept.map(([, [number, at]]) => values[number]?.[at] ?? null)
        ] as const;
      })
    ),
    matched: first.matched
  };
}

/**
 * Return the earlier rows if nothing changed, so that nothing is drawn again.
 */
export function keptIfSame(before: IRows, now: IRows): IRows {
  const isSame =
    before.matched === now.matched &&
    sameList(before.ids, now.ids) &&
    before.columns.size === now.columns.size &&
    [...now.columns].every(([column, values]) => {
      const known = before.columns.get(column);
      return known !== undefined && sameList(known, values);
    });
  return isSame ? before : now;
}

function sameList<T>(a: readonly T[], b: readonly T[]): boolean {
  return a.length === b.length && a.every((each, at) => each === b[at]);
}

/** A column in the form of an axis. */
export interface IAxisValues {
  readonly column: string;
  readonly kind: 'number' | 'words' | 'time' | 'duration';
  /** NaN for a missing value; words have their places in `words`. */
  readonly numbers: Float64Array;
  readonly words: readonly string[];
}

/** Different words of an axis; runs with others are left out. */
export const MOST_WORDS = 30;

/** Parameters and tags that are all numbers count as numbers. */
export function axisValues(column: string, rows: IRows): IAxisValues {
  const values = rows.columns.get(column) ?? [];
  const isMetric = column.startsWith('metrics.');
  const isTime = column === 'start_time' || column === 'end_time';
  const numbers = Float64Array.from(values, asNumber);
  const isNumber =
    isMetric ||
    isTime ||
    column === 'duration' ||
    values.every((value, at) => isNone(value) || !Number.isNaN(numbers[at]));
  if (isNumber) {
    const kind = isTime ? 'time' : column === 'duration' ? column : 'number';
    return { column, kind, numbers, words: [] };
  }
  const counts = new Map<string, number>();
  for (const value of values) {
    if (!isNone(value)) {
      counts.set(String(value), (counts.get(String(value)) ?? 0) + 1);
    }
  }
  const words = [...counts]
    .sort((a, b) => b[1] - a[1])
    .slice(0, MOST_WORDS)
    .map(([word]) => word)
    .sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
  const places = new Map(words.map((word, place) => [word, place]));
  return {
    column,
    kind: 'words',
    numbers: Float64Array.from(values, value =>
      isNone(value) ? NaN : (places.get(String(value)) ?? NaN)
    ),
    words
  };
}

function asNumber(value: CellValue): number {
  if (typeof value === 'string') {
    return value.trim() === '' ? NaN : Number(value);
  }
  return value ?? NaN;
}

function isNone(value: CellValue): value is null | undefined | '' {
  return value === null || value === undefined || value === '';
}
