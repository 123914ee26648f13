import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { ISort } from './grid';
import { ActionButton } from './icon-button';
import { DataTable } from './table';

import '../../../style/core/list-table.css';

/** Rows that are drawn at first, and with each "Show more". */
const DRAWN = 100;

/**
 * The table of a page: a filter, columns that sort, and rows that open.
 *
 * The filter keeps rows whose texts have all its words. It and the sort order see all rows, also those not drawn yet.
 */
export function ListTable<T>(props: ListTable.IProps<T>): React.ReactElement {
  const { columns, rows, trans, count, sort: first, ...table } = props;
  const [filter, setFilter] = React.useState('');
  const [sort, setSort] = React.useState(first);
  const [drawn, setDrawn] = React.useState(DRAWN);
  const found = React.useMemo(
    () => sorted(matching(rows, columns, filter), columns, sort),
    [rows, columns, filter, sort]
  );
  return (
    <div className="gol-ListTable">
      <div className="gol-ListTable-bar">
        <input
          type="search"
          aria-label={trans.__('Filter')}
          placeholder={trans.__('Filter')}
          value={filter}
          onChange={({ target }) => setFilter(target.value)}
        />
        <span className="gol-Note" role="status">
          {found.length === rows.length
            ? count(rows.length)
            : trans.__('%1 of %2', found.length, count(rows.length))}
        </span>
      </div>
      <DataTable
        {...table}
        className="gol-Table gol-ListTable-table"
        columns={columns}
        rows={found.slice(0, drawn)}
        sort={sort}
        onSort={setSort}
      />
      {found.length === 0 && (
        <p className="gol-Note">{trans.__('No rows match.')}</p>
      )}
      {found.length > drawn && (
        <div className="gol-ShowMore">
          <ActionButton
            label={trans.__('Show more')}
            onClick={() => setDrawn(drawn + DRAWN)}
          />
        </div>
      )}
    </div>
  );
}

export namespace ListTable {
  export interface IProps<T> extends Omit<
    DataTable.IProps<T>,
    'sort' | 'onSort' | 'className' | 'hideHead'
  > {
    /** The order at first. */
    sort: ISort;
    /** "3 sweeps". */
    count: (rows: number) => string;
    trans: TranslationBundle;
  }
}

type Columns<T> = readonly DataTable.IColumn<T>[];

/** The rows whose texts have all words of a filter. */
export function matching<T>(
  rows: readonly T[],
  columns: Columns<T>,
  filter: string
): readonly T[] {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) {
    return rows;
  }
  return rows.filter(row => {
    const text = columns
      .map(({ value }) => value?.(row))
      .filter(value => typeof value === 'string')
      .join('\n')
      .toLowerCase();
    return words.every(word => text.includes(word));
  });
}

/** Rows by the value of a column; those without a value come last in both directions. */
export function sorted<T>(
  rows: readonly T[],
  columns: Columns<T>,
  { column, descending }: ISort
): readonly T[] {
  const value = columns.find(({ id }) => id === column)?.value;
  if (!value) {
    return rows;
  }
  const sign = descending ? -1 : 1;
  return [...rows].sort((one, other) => {
    const [a, b] = [value(one), value(other)];
    if (a === null || b === null) {
      return Number(a === null) - Number(b === null);
    }
    return typeof a === 'number' && typeof b === 'number'
      ? sign * (a - b)
      : sign * String(a).localeCompare(String(b), undefined, { numeric: true });
  });
}
