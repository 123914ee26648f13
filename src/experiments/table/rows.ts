import type { IRunColumn, IRunGroup } from './service';

/**
 * A value of a run; undefined while it is not fetched, null if the run has
 * none.
 */
export type CellValue = number | string | null | undefined;

/**
 * A row of the table: a run, or the head of a group. It may not be fetched yet.
 */
export interface IRow {
  readonly index: number;
  /** The run's id; null for a head and while the row is not fetched. */
  readonly id: string | null;
  /** The group of a head. */
  readonly group: IRunGroup | null;
  readonly columns: ReadonlyMap<string, IRunColumn> | null;
  /** Its place in the columns. */
  readonly at: number;
}

/** Return the row's value of a column. */
export function valueOf(row: IRow, column: string): CellValue {
  return row.columns?.get(column)?.values[row.at];
}
