import * as React from 'react';

import type { ISort } from './grid';

/**
 * A small table for tens of rows, with real table semantics.
 *
 * Tab reaches clickable rows once, then arrow keys, Home and End move between them;
 * Enter and Space open a row. Tab goes on to the buttons of the row that has the focus.
 * For thousands of rows use `grid.tsx`; for a page with a filter `list-table.tsx`.
 */
export function DataTable<T>(props: DataTable.IProps<T>): React.ReactElement {
  const { caption, columns, rows, rowKey, rowLabel, onOpen, selected, region } =
    props;
  const [focused, setFocused] = React.useState<string | null>(null);
  const body = React.useRef<HTMLTableSectionElement>(null);
  const keys = rows.map(rowKey);
  const tabStop =
    focused !== null && keys.includes(focused)
      ? focused
      : selected !== undefined && keys.includes(selected)
        ? selected
        : keys[0];

  const onKeyDown = (
    event: React.KeyboardEvent<HTMLTableRowElement>,
    index: number
  ) => {
    if (event.target !== event.currentTarget) {
      return;
    }
    const target = {
      ArrowDown: Math.min(index + 1, rows.length - 1),
      ArrowUp: Math.max(index - 1, 0),
      Home: 0,
      End: rows.length - 1
    }[event.key];
    if (target !== undefined) {
      event.preventDefault();
      setFocused(keys[target]);
      body.current
        ?.querySelectorAll<HTMLElement>('tr[tabindex]')
        [target]?.focus();
    } else if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      onOpen?.(rows[index]);
    }
  };

  const table = (
    <table className={props.className ?? 'gol-Table'}>
      <caption className="gol-VisuallyHidden">{caption}</caption>
      <thead className={props.hideHead ? 'gol-VisuallyHidden' : undefined}>
        <tr>
          {columns.map(column => (
            <HeadCell
              key={column.id}
              column={column}
              sort={props.sort}
              onSort={props.onSort}
            />
          ))}
        </tr>
      </thead>
      <tbody ref={body}>
        {rows.map((row, index) => {
          const key = keys[index];
          const below = props.below?.(row);
          return (
            <React.Fragment key={key}>
              <tr
                className={
                  selected === key ? 'gol-mod-selected' : props.rowClass?.(row)
                }
                aria-selected={onOpen ? selected === key : undefined}
                aria-current={props.isCurrent?.(row) || undefined}
                aria-label={rowLabel?.(row)}
                tabIndex={onOpen ? (tabStop === key ? 0 : -1) : undefined}
                onFocus={onOpen ? () => setFocused(key) : undefined}
                onClick={
                  onOpen
                    ? ({ target }) =>
                        (target as Element).closest('button, a') ?? onOpen(row)
                    : undefined
                }
                onKeyDown={
                  onOpen ? event => onKeyDown(event, index) : undefined
                }
                {...props.rowProps?.(row)}
              >
                {columns.map(column => {
                  const Cell = column.isHead ? 'th' : 'td';
                  return (
                    <Cell
                      key={column.id}
                      scope={column.isHead ? 'row' : undefined}
                      className={classOf(column, column.cellClass?.(row))}
                      title={column.tip?.(row)}
                    >
                      {column.cell(row, tabStop === key ? 0 : -1)}
                    </Cell>
                  );
                })}
              </tr>
              {below && (
                <tr className={props.belowClass}>
                  <td colSpan={columns.length}>{below}</td>
                </tr>
              )}
            </React.Fragment>
          );
        })}
      </tbody>
    </table>
  );
  return region ? (
    <div className={region} role="region" aria-label={caption} tabIndex={0}>
      {table}
    </div>
  ) : (
    table
  );
}

function classOf<T>(
  column: DataTable.IColumn<T>,
  own: string | undefined
): string | undefined {
  const all = [
    column.numeric && 'gol-mod-numeric',
    column.wide && 'gol-mod-wide',
    own
  ];
  return all.filter(Boolean).join(' ') || undefined;
}

/** The title of a column; a button where the column sorts the table. */
function HeadCell<T>(props: {
  column: DataTable.IColumn<T>;
  sort: ISort | undefined;
  onSort: DataTable.IProps<T>['onSort'];
}): React.ReactElement {
  const { column, sort, onSort } = props;
  const { id, title, numeric, titleTip } = column;
  const isSorted = sort?.column === id;
  const descending = isSorted && sort.descending;
  const sorts = onSort && column.value;
  return (
    <th
      scope="col"
      className={classOf(column, column.headClass)}
      title={titleTip}
      aria-sort={
        isSorted ? (descending ? 'descending' : 'ascending') : undefined
      }
    >
      {sorts ? (
        <button
          type="button"
          className="gol-Table-sort"
          // Of numbers and times the largest are asked for first.
          onClick={() =>
            onSort({
              column: id,
              descending: isSorted ? !descending : numeric === true
            })
          }
        >
          {title}
          {isSorted && (
            <span aria-hidden="true">{descending ? ' ▾' : ' ▴'}</span>
          )}
        </button>
      ) : (
        title
      )}
    </th>
  );
}

export namespace DataTable {
  export interface IColumn<T> {
    id: string;
    title: React.ReactNode;
    titleTip?: string;
    /** Draws a cell; its buttons and links take `tabIndex`. */
    cell: (row: T, tabIndex: 0 | -1) => React.ReactNode;
    /** What the rows are sorted by and filtered for; null is unknown. */
    value?: (row: T) => string | number | null;
    /** Tooltip of cells that may be cut. */
    tip?: (row: T) => string;
    numeric?: boolean;
    /** Left out where the table of a page is narrow. */
    wide?: boolean;
    /** A class of the title. */
    headClass?: string;
    /** A class of a cell. */
    cellClass?: (row: T) => string | undefined;
    /** Whether the cells of this column are row headers. */
    isHead?: boolean;
  }

  export interface IProps<T> {
    /** The table's caption; read aloud. */
    caption: string;
    columns: readonly IColumn<T>[];
    rows: readonly T[];
    rowKey: (row: T, place: number) => string;
    rowClass?: (row: T) => string | undefined;
    /** Tooltip and pointer of a row. */
    rowProps?: (row: T) => React.HTMLAttributes<HTMLTableRowElement>;
    /** What stands below a row over the whole width, such as its details. */
    below?: (row: T) => React.ReactNode;
    belowClass?: string;
    /** Key of the current row. */
    isCurrent?: (row: T) => boolean;
    rowLabel?: (row: T) => string;
    /** Called when a row is opened; makes rows focusable and clickable. */
    onOpen?: (row: T) => void;
    /** Key of the open row. */
    selected?: string;
    /** The order of the rows, which the caller has sorted; the titles of columns with a `value` change it. */
    sort?: ISort;
    onSort?: (sort: ISort) => void;
    hideHead?: boolean;
    /** Class in place of `gol-Table`. */
    className?: string;
    /** Class of a scrollable, focusable element around the table. */
    region?: string;
  }
}
