import type { CellKeyboardEvent, CellKeyDownArgs } from '../../../core/ui/grid';
import { levelOf } from '../groups';
import type { RunTableModel } from '../model';
import type { IRow } from '../rows';

import { SELECT } from './select-column';

type SelectedCell = Extract<CellKeyDownArgs<IRow>, { mode: 'SELECT' }>;

/** Actions of keys that the table performs. */
export interface IKeyActions {
  model: RunTableModel;
  onRowMenu: (row: IRow, left: number, top: number) => void;
  /** Select from the last toggled row to this one. */
  onExtend: (index: number) => void;
  onToggleGroup: (row: IRow) => void;
  onDelete: () => void;
}

/** Return whether a key opens a menu. */
export function isMenuKey(
  event: Pick<KeyboardEvent, 'key' | 'altKey' | 'shiftKey'>
): boolean {
  return (
    event.key === 'ContextMenu' ||
    (event.key === 'F10' && event.shiftKey) ||
    (event.key === 'ArrowDown' && event.altKey)
  );
}

/** Handle a key in a cell; the grid handles the rest. */
export function onCellKey(
  actions: IKeyActions,
  args: CellKeyDownArgs<IRow>,
  event: CellKeyboardEvent
): void {
  if (args.mode !== 'SELECT' || !(event.target instanceof HTMLElement)) {
    return;
  }
  if (takes(actions, args, event, event.target)) {
    event.preventDefault();
    event.preventGridDefault();
    event.stopPropagation();
  }
}

function takes(
  actions: IKeyActions,
  args: SelectedCell,
  event: CellKeyboardEvent,
  target: HTMLElement
): boolean {
  const { model } = actions;
  const { selection, windows, folds } = model;
  const { rows, matched } = windows.snapshot;
  const { row, rowIdx } = args;
  const { group } = row;
  const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
  if (event.key === 'Enter') {
    if (group) {
      folds.turn(group.path);
    } else if (row.id) {
      model.open(row.id);
    }
  } else if (event.key === ' ' && !event.ctrlKey && !event.metaKey) {
    if (event.shiftKey) {
      actions.onExtend(rowIdx);
    } else if (group) {
      actions.onToggleGroup(row);
    } else if (row.id) {
      selection.toggle(row.id, rowIdx);
    }
  } else if (step && event.shiftKey) {
    const next = Math.max(0, Math.min(rows.length - 1, rowIdx + step));
    if (row.id && selection.count(matched) === 0) {
      selection.toggle(row.id, rowIdx);
    }
    actions.onExtend(next);
    args.selectCell({ idx: args.column.idx, rowIdx: next });
  } else if (event.key === 'a' && (event.ctrlKey || event.metaKey)) {
    selection.selectAll();
  } else if (event.key === 'Escape' && selection.count(matched) > 0) {
    selection.clear();
  } else if (event.key === 'Delete') {
    actions.onDelete();
  } else if (isMenuKey(event)) {
    const { left, bottom } = target.getBoundingClientRect();
    actions.onRowMenu(row, left, bottom);
  } else {
    return onArrow(model, args, event.key);
  }
  return true;
}

/**
 * Left and Right on a name open and close as in a tree; before the name, Left
 * goes to the group.
 */
function onArrow(
  model: RunTableModel,
  args: SelectedCell,
  key: string
): boolean {
  const { row, column } = args;
  const { group } = row;
  const levels = model.view.groups.length;
  if (levels === 0) {
    return false;
  }
  if (column.key === model.subject.name && group) {
    const turns = key === (group.open ? 'ArrowLeft' : 'ArrowRight');
    if (turns) {
      model.folds.turn(group.path);
    }
    return turns;
  }
  if (column.key === SELECT && key === 'ArrowLeft') {
    const head = headAbove(model.windows.snapshot.rows, row, levels);
    if (head) {
      args.selectCell({ idx: column.idx + 1, rowIdx: head.index });
    }
    return true;
  }
  return false;
}

function headAbove(
  rows: readonly IRow[],
  row: IRow,
  levels: number
): IRow | undefined {
  const level = levelOf(row, levels);
  for (let at = row.index - 1; at >= 0; at--) {
    const { group } = rows[at];
    if (group && levelOf(rows[at], levels) < level) {
      return rows[at];
    }
  }
  return undefined;
}
