import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { useRevision, useSignalled } from '../../../core';
import type { GridColumn, RenderRowProps } from '../../../core/ui/grid';
import { Grid, GridRow } from '../../../core/ui/grid';
import { useLasting } from '../../../core/ui/hooks';
import { TIMES, columnLabel, defaultWidth } from '../column-messages';
import { idsBelow, keyOf, levelOf } from '../groups';
import type { RunTableModel } from '../model';
import { runColors } from '../run-color';
import type { IShownColumn } from '../view-state';
import { moved, turned } from '../view-state';
import type { IRow } from '../rows';
import { valueOf } from '../rows';

import { isMenuKey, onCellKey } from './cell-keys';
import { CellContent, heat } from './cells';
import { GroupName, GroupValue, INDENT_PX } from './group-cell';
import { HeaderCell } from './header-cell';
import { SELECT, selectColumn } from './select-column';

const ROW_PX = 28;
const HEAD_PX = 34;
/** Attributes that are numbers. */
const NUMBERS = [
  ...['duration', 'version'],
  ...['tokens', 'input_tokens', 'output_tokens', 'cost', 'spans']
];
/**
 * After this time, in ms, rows of the previous question become pale: that
 * paints the whole table twice.
 */
const STALE_MS = 200;
/** Rows whose colours are told apart: rows further down come while it scrolls. */
const MOST_COLORED = 100;

/** The rows; only the visible ones are in the page. */
export function RunGrid(props: RunGrid.IProps): React.ReactElement {
  const { model, trans } = props;
  const { windows, selection, scales } = model;
  const snapshot = useSignalled(windows.changed, () => windows.snapshot);
  const shown = useSignalled(model.changed, () => model.shown);
  const { sort, groups } = useSignalled(model.changed, () => model.view);
  const opened = useSignalled(model.changed, () => model.opened);
  const [selectionRevision, reselect] = useRevision(selection.changed);
  const [scaleRevision] = useRevision(scales.changed);
  const grid = React.useRef<HTMLDivElement>(null);
  const scrolled = React.useRef(0);

  const { rows, switching } = snapshot;
  const isStale = useLasting(switching, STALE_MS);
  const columns = React.useMemo(
    () => [
      selectColumn(props),
      ...shown.map(column => dataColumn(column, groups, props))
    ],
    [shown, groups, scaleRevision, model, trans]
  );
  const { colors } = model.subject;
  React.useEffect(() => {
    if (!colors) {
      return;
    }
    // Selected runs first: they are compared.
    const ids = rows.slice(0, MOST_COLORED).flatMap(({ id }) => id ?? []);
    const isChosen = (id: string) => selection.has(id);
    runColors.list([
      ...ids.filter(isChosen),
      ...ids.filter(id => !isChosen(id))
    ]);
  }, [rows, selectionRevision, selection, colors]);
  const renderRow = React.useMemo(
    () => (groups.length > 0 ? treeRow(groups.length) : undefined),
    [groups]
  );
  const selected = React.useMemo(
    () => new SelectedRows(model),
    [selectionRevision, model]
  );
  // Kept the same while its result is: with another function the grid draws all
  // rows again.
  const rowClass = React.useCallback(
    (row: IRow) =>
      row.group
        ? 'gol-mod-group'
        : row.id && row.id === opened
          ? 'gol-mod-opened'
          : undefined,
    [opened]
  );
  React.useEffect(() => {
    const node = grid.current;
    // Setting it even to its present value causes a layout.
    if (node && switching && scrolled.current > 0) {
      node.scrollTop = 0;
    }
  }, [switching]);
  React.useEffect(() => {
    const node = grid.current;
    if (!node) {
      return;
    }
    // Its first call comes with the frame: a call here would cause another
    // layout.
    const observer = new ResizeObserver(() => wantSeen(model, node));
    observer.observe(node);
    return () => observer.disconnect();
  }, [model]);

  /** Shift adds a column to the sort; the menu opens by keyboard. */
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

  return (
    <div
      className={`gol-RunTable-grid ${isStale ? 'gol-mod-stale' : ''}`}
      aria-busy={switching}
      onKeyDownCapture={onHeadKey}
      onMouseDown={event => {
        // Opening a run or selecting a range must not select text.
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
      <Grid
        element={grid}
        className="gol-RunTable-rdg"
        aria-label={model.subject.words.rows}
        rows={rows}
        columns={columns}
        rowKeyGetter={rowKey}
        rowHeight={ROW_PX}
        headerRowHeight={HEAD_PX}
        selectedRows={selected}
        // Rows may be selected that are not in `rows` yet: the model handles
        // this.
        onSelectedRowsChange={reselect}
        grouped={groups.length > 0}
        sort={sort}
        onSort={sort => model.setView({ sort: [...sort] })}
        onScroll={event => {
          scrolled.current = event.currentTarget.scrollTop;
          wantSeen(model, event.currentTarget);
        }}
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
          const { group } = row;
          if (column.key === SELECT || (!row.id && !group)) {
            return;
          }
          if (event.shiftKey) {
            event.preventGridDefault();
            props.onExtend(row.index);
            selectCell();
          } else if (event.ctrlKey || event.metaKey) {
            if (group) {
              props.onToggleGroup(row);
            } else if (row.id) {
              selection.toggle(row.id, row.index);
            }
          } else if (group && column.key === model.subject.name) {
            model.folds.turn(group.path);
          }
        }}
        onCellDoubleClick={({ row }) => row.id && model.open(row.id)}
        onCellContextMenu={({ row }, event) => {
          event.preventDefault();
          event.stopPropagation();
          props.onRowMenu(row, event.clientX, event.clientY);
        }}
        onCellKeyDown={(args, event) => onCellKey(props, args, event)}
        rowClass={rowClass}
        renderers={{ noRowsFallback: <></>, renderRow }}
      />
    </div>
  );
}

export namespace RunGrid {
  export interface IProps {
    model: RunTableModel;
    trans: TranslationBundle;
    onColumnMenu: (column: string, left: number, top: number) => void;
    onRowMenu: (row: IRow, left: number, top: number) => void;
    /** Select from the last toggled row to this one. */
    onExtend: (index: number) => void;
    /** Select a group's runs, or deselect them. */
    onToggleGroup: (head: IRow) => void;
    onDelete: () => void;
  }
}

/** The selection as the grid's set of selected rows, by a row's place. */
class SelectedRows extends Set<number> {
  constructor(private _model: RunTableModel) {
    super();
  }

  override has(index: number): boolean {
    const { selection, windows } = this._model;
    const row = windows.snapshot.rows[index];
    if (row?.group) {
      const seen = idsBelow(windows.snapshot.rows, row);
      const { path, runs } = row.group;
      return selection.ofGroup(keyOf(path), runs, seen) === 'all';
    }
    return row?.id ? selection.has(row.id) : selection.isAll;
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

/** Return the column whose head has the element. */
function headOf(target: EventTarget): string | null {
  const head =
    target instanceof Element ? target.closest('[role="columnheader"]') : null;
  return (
    head?.querySelector<HTMLElement>('[data-column]')?.dataset.column ?? null
  );
}

function dataColumn(
  shown: IShownColumn,
  groups: readonly string[],
  props: RunGrid.IProps
): GridColumn<IRow> {
  const { model, trans } = props;
  const { name, colored = false } = shown;
  const naming = model.subject.name;
  const numeric =
    !TIMES.includes(name) &&
    (name.startsWith('metrics.') || NUMBERS.includes(name));
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
      const content = row.group ? (
        name === naming ? (
          <GroupName
            group={row.group}
            by={groups}
            count={model.subject.words.count}
            trans={trans}
          />
        ) : (
          <GroupValue
            row={row}
            group={row.group}
            column={name}
            aggregate={shown.aggregate}
            trans={trans}
          />
        )
      ) : (
        <CellContent
          row={row}
          column={name}
          model={model}
          indent={name === naming ? levelOf(row, groups.length) * INDENT_PX : 0}
          trans={trans}
        />
      );
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

/**
 * Draws rows of groups: assistive technology hears the depth, and which group
 * is open.
 */
function treeRow(
  levels: number
): (key: React.Key, props: RenderRowProps<IRow>) => React.ReactElement {
  return (key, props) => {
    const { group, id } = props.row;
    return (
      <GridRow
        key={key}
        {...props}
        aria-level={
          group || id !== null ? levelOf(props.row, levels) + 1 : undefined
        }
        aria-expanded={group?.open}
        aria-posinset={group?.position}
        aria-setsize={group?.siblings}
      />
    );
  };
}
