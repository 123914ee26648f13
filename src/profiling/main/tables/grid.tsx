import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type {
  CellKeyboardEvent,
  CellKeyDownArgs,
  GridColumn,
  ISort
} from '../../../core/ui/grid';
import { Grid } from '../../../core/ui/grid';

import type { IColumn, Shown } from './rows';
import { groupValue } from './rows';

const ROW_PX = 26;
const HEAD_PX = 32;

/**
 * A grid of rows or groups of rows. Arrows move between cells, Tab leaves the
 * grid.
 */
export function SumsGrid<R>(props: SumsGrid.IProps<R>): React.ReactElement {
  const { label, columns, shown, sort, grouped, trans } = props;
  const most = React.useMemo(() => largest(columns, shown), [columns, shown]);
  const drawn = React.useMemo(
    () =>
      columns.map((column, place): GridColumn<Shown<R>> => {
        const numeric = place > 0 && column.words !== undefined;
        return {
          key: column.id,
          name: column.title,
          width: column.width,
          minWidth: 60,
          resizable: true,
          sortable: true,
          frozen: place === 0,
          sortDescendingFirst: numeric,
          cellClass: numeric ? 'gol-mod-number' : undefined,
          headerCellClass: numeric ? 'gol-mod-number' : undefined,
          renderHeaderCell: ({ sortDirection }) => (
            <span className="gol-Grid-head" title={column.tip ?? column.title}>
              {column.title}
              {sortDirection && (
                <span aria-hidden="true">
                  {sortDirection === 'ASC' ? ' ▴' : ' ▾'}
                </span>
              )}
            </span>
          ),
          renderCell: ({ row, tabIndex }) =>
            place === 0 ? (
              <FirstCell
                column={column}
                shown={row}
                onToggle={props.onToggle}
                trans={trans}
              />
            ) : (
              <ValueCell
                column={column}
                shown={row}
                most={most.get(column.id) ?? 0}
                tabIndex={tabIndex}
              />
            )
        };
      }),
    [columns, most, props.onToggle, trans]
  );

  return (
    <div className="gol-Grid-keys">
      <Grid
        className="gol-Grid"
        aria-label={label}
        rows={shown}
        columns={drawn}
        rowHeight={ROW_PX}
        headerRowHeight={HEAD_PX}
        grouped={grouped}
        sort={[sort]}
        // The grid's third state is unsorted; here it returns to the first.
        onSort={([first]) =>
          props.onSort(first ?? { ...sort, descending: !sort.descending })
        }
        onCellKeyDown={(args, event) => onKey(props, args, event)}
        onSelectedCellChange={({ row }) => {
          // The head of the table is not a row.
          if ((row as Shown<R> | undefined)?.kind === 'row') {
            props.onSelect?.((row as Shown<R> & { kind: 'row' }).row);
          }
        }}
        rowClass={each => rowClass(each, props.selected)}
        renderers={{
          noRowsFallback: (
            <p className="gol-Profile-quiet gol-Grid-none">
              {trans.__('No rows match.')}
            </p>
          )
        }}
      />
    </div>
  );
}

export namespace SumsGrid {
  export interface IProps<R> {
    /** The name of the table, for screen readers. */
    label: string;
    columns: readonly IColumn<R>[];
    shown: readonly Shown<R>[];
    sort: ISort;
    grouped: boolean;
    onSort: (sort: ISort) => void;
    /** Open or close a group. */
    onToggle: (group: string) => void;
    /** The row whose details are shown; it is highlighted. */
    selected?: R;
    /** Called when a click or a key moved to a row. */
    onSelect?: (row: R) => void;
    trans: TranslationBundle;
  }
}

function rowClass<R>(
  shown: Shown<R>,
  selected: R | undefined
): string | undefined {
  if (shown.kind === 'head') {
    return 'gol-mod-group';
  }
  return shown.row === selected ? 'gol-mod-selected' : undefined;
}

function onKey<R>(
  { onToggle }: SumsGrid.IProps<R>,
  args: CellKeyDownArgs<Shown<R>>,
  event: CellKeyboardEvent
): void {
  if (args.mode !== 'SELECT' || args.row?.kind !== 'head') {
    return;
  }
  const { open, name } = args.row;
  const wants =
    event.key === 'Enter' ||
    event.key === ' ' ||
    (args.column.idx === 0 &&
      event.key === (open ? 'ArrowLeft' : 'ArrowRight'));
  if (wants) {
    event.preventDefault();
    event.preventGridDefault();
    onToggle(name);
  }
}

/** The largest value of each column with bars. */
function largest<R>(
  columns: readonly IColumn<R>[],
  shown: readonly Shown<R>[]
): Map<string, number> {
  return new Map(
    columns
      .filter(({ bar }) => bar)
      .map(column => [
        column.id,
        column.whole ??
          shown.reduce(
            (most, each) => Math.max(most, numberOf(column, each)),
            0
          )
      ])
  );
}

function numberOf<R>(column: IColumn<R>, shown: Shown<R>): number {
  const value =
    shown.kind === 'head'
      ? groupValue(column, shown.rows)
      : column.value(shown.row);
  return typeof value === 'number' ? value : 0;
}

function FirstCell<R>(props: {
  column: IColumn<R>;
  shown: Shown<R>;
  onToggle: (group: string) => void;
  trans: TranslationBundle;
}): React.ReactElement {
  const { column, shown, onToggle, trans } = props;
  if (shown.kind === 'row') {
    const name = String(column.value(shown.row) ?? '');
    return (
      <span
        className="gol-Grid-name"
        title={name}
        style={{ paddingLeft: shown.level * 16 }}
      >
        {name}
      </span>
    );
  }
  const { name, open, rows } = shown;
  return (
    <button
      type="button"
      className="gol-Grid-group"
      tabIndex={-1}
      aria-expanded={open}
      title={name}
      onClick={() => onToggle(name)}
    >
      <span aria-hidden="true">{open ? '▾' : '▸'}</span>{' '}
      {name || trans.__('Not known')}{' '}
      <span className="gol-Profile-quiet">{rows.length.toLocaleString()}</span>
    </button>
  );
}

function ValueCell<R>(props: {
  column: IColumn<R>;
  shown: Shown<R>;
  most: number;
  tabIndex: number;
}): React.ReactElement {
  const { column, shown, most, tabIndex } = props;
  if (shown.kind === 'head') {
    const value = groupValue(column, shown.rows);
    return (
      <>
        {value !== null && <Bar column={column} value={value} most={most} />}
        {value === null ? '' : (column.words?.(value, shown.rows[0]) ?? value)}
      </>
    );
  }
  const value = column.value(shown.row);
  if (value === null) {
    return <span className="gol-Profile-quiet">–</span>;
  }
  if (column.draw) {
    return <>{column.draw(shown.row, tabIndex)}</>;
  }
  return typeof value === 'number' ? (
    <>
      <Bar column={column} value={value} most={most} />
      <span className="gol-Grid-value">
        {column.words?.(value, shown.row) ?? value}
      </span>
    </>
  ) : (
    <span title={value}>{value}</span>
  );
}

function Bar<R>(props: {
  column: IColumn<R>;
  value: number;
  most: number;
}): React.ReactElement | null {
  const { column, value, most } = props;
  const isPart = column.whole !== undefined;
  return most > 0 ? (
    <span
      className={`gol-Grid-bar${isPart ? ' gol-mod-part' : ''}`}
      aria-hidden="true"
      style={{ width: `${Math.min(1, value / most) * 100}%` }}
    />
  ) : null;
}
