/** Filter, sort and group the rows of a table. */
import type { ReactNode } from 'react';

import type { ISort } from '../../../core/ui/grid';

export type Value = string | number | null;

export interface IColumn<R> {
  readonly id: string;
  readonly title: string;
  /** Tooltip of the head. */
  readonly tip?: string;
  readonly width: number;
  readonly value: (row: R) => Value;
  /**
   * Format the value; by default the value itself. Null is not known and shown
   * as a dash.
   */
  readonly words?: (value: number, row: R) => string;
  /** Whether a group shows the sum. */
  readonly summed?: boolean;
  /** Draw a bar, relative to the largest value or to `whole`. */
  readonly bar?: boolean;
  readonly whole?: number;
  /**
   * Draws other content than the value's text; not for the first column. A link
   * takes `tabIndex`: it has the focus when its cell is selected.
   */
  readonly draw?: (row: R, tabIndex: number) => ReactNode;
}

/** A row, or the head of a group of rows. */
export type Shown<R> =
  | { readonly kind: 'row'; readonly row: R; readonly level: number }
  | {
      readonly kind: 'head';
      readonly name: string;
      readonly open: boolean;
      readonly rows: readonly R[];
    };

export interface IArranged<R> {
  readonly columns: readonly IColumn<R>[];
  readonly rows: readonly R[];
  /** Words that must all be in a row's text; case is ignored. */
  readonly filter: string;
  readonly sort: ISort;
  readonly groupOf?: (row: R) => string;
  /** Groups with visible rows. */
  readonly open?: ReadonlySet<string>;
}

export function arranged<R>(options: IArranged<R>): Shown<R>[] {
  const { columns, sort, groupOf, open } = options;
  const rows = filtered(options);
  const column =
    columns.find(({ id }) => id === sort.column) ?? (columns[0] as IColumn<R>);
  const order = (one: Value, other: Value) =>
    compare(one, other, sort.descending);
  if (!groupOf) {
    return rows
      .sort((one, other) => order(column.value(one), column.value(other)))
      .map(row => ({ kind: 'row', row, level: 0 }));
  }
  const groups = new Map<string, R[]>();
  for (const row of rows) {
    const name = groupOf(row);
    const group = groups.get(name);
    if (group) {
      group.push(row);
    } else {
      groups.set(name, [row]);
    }
  }
  const keyed = [...groups].map(([name, members]) => ({
    name,
    members,
    key: column.summed ? groupValue(column, members) : name
  }));
  keyed.sort((one, other) => order(one.key, other.key));
  return keyed.flatMap(({ name, members }): Shown<R>[] => [
    {
      kind: 'head',
      name,
      open: open?.has(name) ?? false,
      rows: members
    },
    ...(open?.has(name)
      ? members
          .sort((one, other) => order(column.value(one), column.value(other)))
          .map((row): Shown<R> => ({ kind: 'row', row, level: 1 }))
      : [])
  ]);
}

/** The sum of the known values; null without any, or if sums make no sense. */
export function groupValue<R>(
  column: IColumn<R>,
  rows: readonly R[]
): number | null {
  if (!column.summed) {
    return null;
  }
  const known = rows
    .map(column.value)
    .filter((value): value is number => typeof value === 'number');
  return known.length > 0 ? known.reduce((sum, each) => sum + each, 0) : null;
}

function filtered<R>({ columns, rows, filter }: IArranged<R>): R[] {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) {
    return [...rows];
  }
  return rows.filter(row => {
    const text = columns
      .map(({ value }) => value(row))
      .filter(value => typeof value === 'string')
      .join('\n')
      .toLowerCase();
    return words.every(word => text.includes(word));
  });
}

/** Unknown values come last in either direction. */
function compare(one: Value, other: Value, descending: boolean): number {
  if (one === null || other === null) {
    return one === other ? 0 : one === null ? 1 : -1;
  }
  const order =
    typeof one === 'number' && typeof other === 'number'
      ? one - other
      : String(one).localeCompare(String(other));
  return descending ? -order : order;
}
