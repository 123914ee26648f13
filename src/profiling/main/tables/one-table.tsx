import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { ActionButton, EmptyState } from '../../../core';
import type { ISort } from '../../../core/ui/grid';
import { DownloadButton } from '../download';

import { SumsGrid } from './grid';
import type { IColumn } from './rows';
import { arranged } from './rows';

/** A table with a filter, groups and buttons that save it. */
export function OneTable<R>(props: OneTable.IProps<R>): React.ReactElement {
  const { name, rows, columns, groupOf, field, onInsert, trans } = props;
  const [filter, setFilter] = React.useState(props.filter ?? '');
  const [grouped, setGrouped] = React.useState(false);
  const [open, setOpen] = React.useState<ReadonlySet<string>>(new Set());
  const [sort, setSort] = React.useState<ISort>({
    column: props.first,
    descending: !props.ascending
  });
  const shown = React.useMemo(
    () =>
      arranged({
        columns,
        rows,
        filter,
        sort,
        groupOf: grouped ? groupOf : undefined,
        open
      }),
    [columns, rows, filter, sort, grouped, open]
  );
  const toggle = React.useCallback(
    (group: string) =>
      setOpen(before => {
        const after = new Set(before);
        if (!after.delete(group)) {
          after.add(group);
        }
        return after;
      }),
    []
  );
  const matching = () =>
    arranged({ columns, rows, filter, sort }).flatMap(each =>
      each.kind === 'row' ? [each.row] : []
    );
  const count = shown.reduce(
    (sum, each) =>
      sum + (each.kind === 'head' ? each.rows.length : 1 - each.level),
    0
  );
  return (
    <div className="gol-Tables">
      <div className="gol-Profile-bar">
        {props.chooser}
        {rows.length > 0 && (
          <>
            <input
              type="search"
              className="gol-Tables-filter"
              aria-label={trans.__('Filter')}
              placeholder={trans.__('Filter')}
              value={filter}
              onChange={({ target }) => {
                setFilter(target.value);
                props.onFilter?.(target.value);
              }}
            />
            {groupOf && (
              <label>
                <input
                  type="checkbox"
                  checked={grouped}
                  onChange={event => setGrouped(event.target.checked)}
                />
                {props.groupWords}
              </label>
            )}
            <span className="gol-Profile-quiet" role="status">
              {count === rows.length
                ? trans._n('%1 row', '%1 rows', count)
                : trans.__('%1 of %2 rows', count, rows.length)}
            </span>
            <DownloadButton
              name={name}
              columns={columns.map(({ id }) => id)}
              rows={() =>
                matching().map(row => columns.map(({ value }) => value(row)))
              }
              trans={trans}
            />
            {field && onInsert && (
              <ActionButton
                label={trans.__('Insert as a cell')}
                caption={trans.__(
                  'Insert a notebook cell that computes this table from the trace'
                )}
                onClick={() => onInsert(field)}
              />
            )}
          </>
        )}
      </div>
      {props.note && <p className="gol-Profile-quiet">{props.note}</p>}
      {rows.length > 0 ? (
        <SumsGrid
          label={name}
          columns={columns}
          shown={shown}
          sort={sort}
          grouped={grouped}
          onSort={setSort}
          onToggle={toggle}
          trans={trans}
        />
      ) : (
        <EmptyState text={props.none} />
      )}
    </div>
  );
}

export namespace OneTable {
  export interface IProps<R> {
    name: string;
    rows: readonly R[];
    columns: readonly IColumn<R>[];
    /** The column that the table is first sorted by, largest first. */
    first: string;
    /** Sort from the smallest at first. */
    ascending?: boolean;
    groupOf?: (row: R) => string;
    groupWords?: string;
    note?: string;
    none: string;
    /** The initial filter. */
    filter?: string;
    onFilter?: (filter: string) => void;
    /** The control before the filter. */
    chooser?: React.ReactNode;
    /** The field of the summary; with it, a cell can make the table. */
    field?: string;
    onInsert?: ((field: string) => void) | null;
    trans: TranslationBundle;
  }
}
