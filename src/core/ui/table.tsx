import * as React from 'react';

/**
 * A small table for tens of rows, with real table semantics.
 *
 * Tab reaches clickable rows once, then arrow keys, Home and End move between them;
 * Enter and Space open a row. For thousands of rows use `grid.tsx`.
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
      (body.current?.rows[target] as HTMLElement | undefined)?.focus();
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
            <th
              key={column.id}
              scope="col"
              className={column.numeric ? 'gol-mod-numeric' : undefined}
              title={column.titleTip}
            >
              {column.title}
            </th>
          ))}
        </tr>
      </thead>
      <tbody ref={body}>
        {rows.map((row, index) => {
          const key = keys[index];
          return (
            <tr
              key={key}
              className={
                selected === key ? 'gol-mod-selected' : props.rowClass?.(row)
              }
              aria-selected={onOpen ? selected === key : undefined}
              aria-current={props.isCurrent?.(row) || undefined}
              aria-label={rowLabel?.(row)}
              tabIndex={onOpen ? (tabStop === key ? 0 : -1) : undefined}
              onFocus={onOpen ? () => setFocused(key) : undefined}
              onClick={onOpen ? () => onOpen(row) : undefined}
              onKeyDown={onOpen ? event => onKeyDown(event, index) : undefined}
            >
              {columns.map(column =>
                column.isHead ? (
                  <th key={column.id} scope="row" title={column.tip?.(row)}>
                    {column.cell(row)}
                  </th>
                ) : (
                  <td
                    key={column.id}
                    className={column.numeric ? 'gol-mod-numeric' : undefined}
                    title={column.tip?.(row)}
                  >
                    {column.cell(row)}
                  </td>
                )
              )}
            </tr>
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

export namespace DataTable {
  export interface IColumn<T> {
    id: string;
    title: string;
    titleTip?: string;
    cell: (row: T) => React.ReactNode;
    /** Tooltip of cells that may be cut. */
    tip?: (row: T) => string;
    numeric?: boolean;
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
    /** Key of the current row. */
    isCurrent?: (row: T) => boolean;
    rowLabel?: (row: T) => string;
    /** Called when a row is opened; makes rows focusable and clickable. */
    onOpen?: (row: T) => void;
    /** Key of the open row. */
    selected?: string;
    hideHead?: boolean;
    /** Class in place of `gol-Table`. */
    className?: string;
    /** Class of a scrollable, focusable element around the table. */
    region?: string;
  }
}
