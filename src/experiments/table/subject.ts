import type { TranslationBundle } from '@jupyterlab/translation';
import type { ReactNode } from 'react';

import type { Kind } from '../../core';

import { NAME } from './column-messages';
import { chooseColumns } from './first-columns';
import { ALWAYS } from './questions';
import type { CellValue, IRow } from './rows';
import type { RunTableService } from './service';

/** The questions of a table to the server. */
export type ITableSource = Pick<
  RunTableService,
  'window' | 'columns' | 'state' | 'completions'
>;

/** What the rows of a table are, and the words for them. */
export interface ITableSubject {
  /** The column that names a row. */
  readonly name: string;
  /** Columns that every row needs, whatever is shown. */
  readonly always: readonly string[];
  /** The events after which rows are fetched again. */
  readonly kinds: readonly Kind[];
  /** Whether rows can be grouped. */
  readonly groups: boolean;
  /** Whether rows are runs with a colour of their own. */
  readonly colors: boolean;
  readonly choose: typeof chooseColumns;
  /** Draw a value; undefined: as a run's. */
  readonly cell?: (row: IRow, column: string, value: CellValue) => ReactNode;
  readonly words: {
    readonly rows: string;
    readonly attributes: string;
    readonly example: string;
    readonly selectAll: string;
    select(row: IRow, name: string): string;
    having(rows: number): string;
    /** Such as "3 runs". */
    count(rows: number): string;
  };
}

/** The rows of the run table. */
export function runSubject(trans: TranslationBundle): ITableSubject {
  return {
    name: NAME,
    always: ALWAYS,
    kinds: ['run', 'experiment'],
    groups: true,
    colors: true,
    choose: chooseColumns,
    words: {
      rows: trans.__('Runs'),
      attributes: trans.__('Run'),
      example: "metrics.accuracy > 0.9 AND params.model = 'cnn'",
      selectAll: trans.__('Select all matching runs'),
      select: (_, name) => trans.__('Select run %1', name),
      having: runs =>
        trans._n('%1 run has a value', '%1 runs have a value', runs),
      count: runs => trans._n('%1 run', '%1 runs', runs)
    }
  };
}
