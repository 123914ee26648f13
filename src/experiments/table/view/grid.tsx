import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';
import type {
  CellKeyboardEvent,
  CellKeyDownArgs,
  Column,
  DataGridHandle
} from 'react-data-grid';
import DataGrid from 'react-data-grid';
import 'react-data-grid/lib/styles.css';

import { useSignalled } from '../../view/hooks';
import { columnLabel, defaultWidth } from '../column-words';
import type { RunTableModel } from '../model';
import type { IShownColumn } from '../view-state';
import { moved, turned } from '../view-state';
import type { IRow } from '../windows';
import { valueOf } from '../windows';

import { CellContent, heat } from './cells';
import { HeaderCell } from './header-cell';
import { SELECT, selectColumn } from './select-column';
import { useRevision } from './use-revision';

const ROW_PX = 28;
const HEAD_PX = 34;

/** The rows, of which those that are seen are in the page. */
export function Grid(props: Grid.IProps): React.ReactElement {
  const { model, trans } = props;
  const { windows, selection, scales } = model;
  const snapshot = useSignalled(windows.changed, () => windows.snapshot);
  const shown = useSignalled(model.changed, () => model.shown);
  const { sort } = useSignalled(model.changed, () => model.view);
  const [selectionRevision, reselect] = useRevision(selection.changed);
  const [scaleRevision] = useRevision(scales.changed);
  const grid = React.useRef<DataGridHandle>(null);

  const { rows, switching } = snapshot;
  const columns = React.useMemo(
    () => [
      selectColumn(props),
      ...shown.map(column => dataColumn(column, props))
    ],
    [shown, scaleRevision, model, trans]
  );
  const selected = React.useMemo(
    () => new SelectedRows(model),
    [selectionRevision, model]
  );
  React.useEffect(() => {
    const node = grid.current?.element;
    if (node && switching) {
      node.scrollTop = 0;
    }
  }, [switching]);
  React.useEffect(() => {
    const node = grid.current?.element;
    if (!node) {
      return;
    }
    const look = () => wantSeen(model, node);
    look();
    const observer = new ResizeObserver(look);
    observer.observe(node);
    return () => observer.disconnect();
  }, [model, rows.length]);

  const sortOf = (names: readonly { columnKey: string; direction: string }[]) =>
    model.setView({
      sort: names.map(({ columnKey, direction }) => ({
        column: columnKey,
        descending: direction === 'DESC'
      }))
    });

  /** With Shift a column is added to the sort; the menu opens by keyboard. */
  const onHeadKey = (event: React.KeyboardEvent) => {
    const column = headOf(event.target);
    if (!column || !(event.target instanceof HTMLElement)) {
      return;
    }
    if (event.shiftKey && (event.key === 'Enter' || event.key === ' ')) {
      model.setView({ sort: turned(sort, column, true) });
    } else if (isMenuKey(event)) {
      const { left, bottom } = event.target.getBoundingClientRect();
      props.onColumnMenu(column, left, bottom);
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  };

  const onCellKey = (
    args: CellKeyDownArgs<IRow>,
    event: CellKeyboardEvent
  ): void => {
    if (args.mode !== 'SELECT' || !(event.target instanceof HTMLElement)) {
      return;
    }
    const { row, rowIdx, column } = args;
    const handled = () => {
      event.preventDefault();
      event.preventGridDefault();
      event.stopPropagation();
    };
    const step =
      event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    if (event.key === 'Enter') {
      if (row.id) {
        model.open(row.id);
      }
      handled();
    } else if (event.key === ' ' && !event.ctrlKey && !event.metaKey) {
      if (event.shiftKey) {
        props.onExtend(rowIdx);
      } else if (row.id) {
        selection.toggle(row.id, rowIdx);
      }
      handled();
    } else if (step && event.shiftKey) {
      const next = Math.max(0, Math.min(rows.length - 1, rowIdx + step));
      if (row.id && selection.count(rows.length) === 0) {
        selection.toggle(row.id, rowIdx);
      }
      props.onExtend(next);
      args.selectCell({ idx: column.idx, rowIdx: next });
      handled();
    } else if (event.key === 'a' && (event.ctrlKey || event.metaKey)) {
      selection.selectAll();
      handled();
    } else if (event.key === 'Escape' && selection.count(rows.length) > 0) {
      selection.clear();
      handled();
    } else if (event.key === 'Delete') {
      props.onDelete();
      handled();
    } else if (isMenuKey(event)) {
      const { left, bottom } = event.target.getBoundingClientRect();
      props.onRowMenu(row, left, bottom);
      handled();
    }
  };

  return (
    <div
      className={`gol-RunTable-grid ${switching ? 'gol-mod-stale' : ''}`}
      aria-busy={switching}
      onKeyDownCapture={onHeadKey}
      onMouseDown={event => {
        // What opens a run or selects a range marks no text.
        if (event.detail > 1 || event.shiftKey) {
          event.preventDefault();
        }
      }}
      onClickCapture={event => {
        const column = event.shiftKey ? headOf(event.target) : null;
        if (column) {
          event.stopPropagation();
          model.setView({ sort: turned(sort, column, true) });
        }
      }}
      onContextMenu={event => {
        const column = headOf(event.target);
        if (column) {
          event.preventDefault();
          event.stopPropagation();
          props.onColumnMenu(column, event.clientX, event.clientY);
        }
      }}
    >
      <DataGrid
        ref={grid}
        className="gol-RunTable-rdg"
        aria-label={trans.__('Runs')}
        rows={rows}
        columns={columns}
        rowKeyGetter={rowKey}
        rowHeight={ROW_PX}
        headerRowHeight={HEAD_PX}
        selectedRows={selected}
        // Rows may be selected that are not in `rows` yet: the model does it.
        onSelectedRowsChange={reselect}
        sortColumns={sort.map(({ column, descending }) => ({
          columnKey: column,
          direction: descending ? 'DESC' : 'ASC'
        }))}
        onSortColumnsChange={sortOf}
        onScroll={event => wantSeen(model, event.currentTarget)}
        onColumnResize={(place, width) => {
          const name = columns[place]?.key;
          model.setColumns(all =>
            all.map(each =>
              each.name === name ? { ...each, width: Math.round(width) } : each
            )
          );
        }}
        onColumnsReorder={(source, target) =>
          model.setColumns(all => moved(all, source, target))
        }
        onCellClick={({ row, column, selectCell }, event) => {
          if (column.key === SELECT || !row.id) {
            return;
          }
          if (event.shiftKey) {
            event.preventGridDefault();
            props.onExtend(row.index);
            selectCell();
          } else if (event.ctrlKey || event.metaKey) {
            selection.toggle(row.id, row.index);
          }
        }}
        onCellDoubleClick={({ row }) => row.id && model.open(row.id)}
        onCellContextMenu={({ row }, event) => {
          event.preventDefault();
          event.stopPropagation();
          props.onRowMenu(row, event.clientX, event.clientY);
        }}
        onCellKeyDown={onCellKey}
        rowClass={row =>
          row.id && row.id === model.opened ? 'gol-mod-opened' : undefined
        }
        renderers={{ noRowsFallback: <></> }}
      />
    </div>
  );
}

export namespace Grid {
  export interface IProps {
    model: RunTableModel;
    trans: TranslationBundle;
    onColumnMenu: (column: string, left: number, top: number) => void;
    onRowMenu: (row: IRow, left: number, top: number) => void;
    /** Select from the last row toggled to this one. */
    onExtend: (index: number) => void;
    onDelete: () => void;
  }
}

/** What the grid takes for the set of the selected rows: the selection, asked by a row's place. */
class SelectedRows extends Set<number> {
  constructor(private _model: RunTableModel) {
    super();
  }

  override has(index: number): boolean {
    const id = this._model.windows.snapshot.rows[index]?.id;
    return typeof id === 'string'
      ? this._model.selection.has(id)
      : this._model.selection.isAll;
  }
}

function rowKey(row: IRow): number {
  return row.index;
}

function wantSeen(model: RunTableModel, node: HTMLElement): void {
  const first = Math.floor(node.scrollTop / ROW_PX);
  const rows = Math.ceil((node.clientHeight - HEAD_PX) / ROW_PX);
  model.windows.want(first - rows, first + 2 * rows);
}

function isMenuKey(event: React.KeyboardEvent): boolean {
  return (
    event.key === 'ContextMenu' ||
    (event.key === 'F10' && event.shiftKey) ||
    (event.key === 'ArrowDown' && event.altKey)
  );
}

/** The column in whose head something is. */
function headOf(target: EventTarget): string | null {
  const head =
    target instanceof Element ? target.closest('[role="columnheader"]') : null;
  return (
    head?.querySelector<HTMLElement>('[data-column]')?.dataset.column ?? null
  );
}

function dataColumn(shown: IShownColumn, props: Grid.IProps): Column<IRow> {
  const { model, trans } = props;
  const { name, colored = false } = shown;
  const numeric = ['start_time', 'end_time'].includes(name)
    ? false
    : name.startsWith('metrics.') || name === 'duration';
  const scale = colored ? model.scales.get(name) : null;
  return {
    key: name,
    name: columnLabel(name, trans),
    width: shown.width ?? defaultWidth(name, trans),
    minWidth: 48,
    maxWidth: 2000,
    frozen: shown.pinned,
    resizable: true,
    sortable: true,
    draggable: true,
    sortDescendingFirst: false,
    cellClass: numeric ? 'gol-mod-number' : undefined,
    headerCellClass: numeric ? 'gol-mod-number' : undefined,
    renderHeaderCell: ({ sortDirection, priority }) => (
      <HeaderCell
        column={name}
        direction={sortDirection}
        priority={priority}
        colored={colored}
        scale={scale}
        onMenu={(left, top) => props.onColumnMenu(name, left, top)}
        trans={trans}
      />
    ),
    renderCell: ({ row }) => {
      const content = <CellContent row={row} column={name} trans={trans} />;
      const background = heat(valueOf(row, name), scale);
      return background ? (
        <span className="gol-RunTable-heat" style={{ background }}>
          {content}
        </span>
      ) : (
        content
      );
    }
  };
}
