import * as React from 'react';

/**
 * A small table for tens of rows, with real table semantics.
 *
 * Rows that open something are reached by Tab once, then by the arrow keys, Home
 * and End; Enter and Space open. For thousands of rows use a windowed view.
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
    /** Text of a tip, for cells that may be cut. */
    tip?: (row: T) => string;
    numeric?: boolean;
    /** Its cells are the heads of their rows. */
    isHead?: boolean;
  }

  export interface IProps<T> {
    /** What the table holds; read aloud. */
    caption: string;
    columns: readonly IColumn<T>[];
    rows: readonly T[];
    rowKey: (row: T, place: number) => string;
    rowClass?: (row: T) => string | undefined;
    /** The row that the page is about. */
    isCurrent?: (row: T) => boolean;
    rowLabel?: (row: T) => string;
    /** Makes rows focusable and clickable. */
    onOpen?: (row: T) => void;
    /** The key of the row that is open. */
    selected?: string;
    hideHead?: boolean;
    /** In place of the look of `gol-Table`. */
    className?: string;
    /** The class of an element around the table that scrolls, also by keyboard. */
    region?: string;
  }
}
