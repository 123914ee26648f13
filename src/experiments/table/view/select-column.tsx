import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { useRevision, useSignalled } from '../../../core';
import type { GridColumn } from '../../../core/ui/grid';
import { idsBelow, keyOf } from '../groups';
import type { RunTableModel } from '../model';
import type { IRow } from '../rows';
import { valueOf } from '../rows';

/** The column's key. */
export const SELECT = 'select';

interface ISelecting {
  model: RunTableModel;
  /** Select from the last toggled row to this one. */
  onExtend: (index: number) => void;
  onToggleGroup: (head: IRow) => void;
  trans: TranslationBundle;
}

/** Boxes that select runs. */
export function selectColumn(props: ISelecting): GridColumn<IRow> {
  const { model } = props;
  return {
    key: SELECT,
    name: '',
    width: 34,
    minWidth: 34,
    maxWidth: 34,
    frozen: true,
    resizable: false,
    sortable: false,
    draggable: false,
    cellClass: 'gol-RunTable-select',
    headerCellClass: 'gol-RunTable-select',
    renderHeaderCell: ({ tabIndex }) => (
      <SelectAll model={model} tabIndex={tabIndex} />
    ),
    renderCell: ({ row, tabIndex }) => {
      const Box = row.group ? SelectGroup : SelectRow;
      return <Box {...props} row={row} tabIndex={tabIndex} />;
    }
  };
}

function SelectAll(props: {
  model: RunTableModel;
  tabIndex: number;
}): React.ReactElement {
  const { model } = props;
  const { selection, windows } = model;
  useRevision(selection.changed);
  const matched = useSignalled(windows.changed, () => windows.snapshot.matched);
  const count = selection.count(matched);
  const every = matched > 0 && count === matched;
  return (
    <input
      type="checkbox"
      tabIndex={props.tabIndex}
      aria-label={model.subject.words.selectAll}
      title={model.subject.words.selectAll}
      checked={every}
      disabled={matched === 0}
      ref={node => {
        if (node) {
          node.indeterminate = count > 0 && !every;
        }
      }}
      onChange={() => (count > 0 ? selection.clear() : selection.selectAll())}
    />
  );
}

function SelectRow(
  props: ISelecting & { row: IRow; tabIndex: number }
): React.ReactElement {
  const { model, row, onExtend } = props;
  const { selection } = model;
  useRevision(selection.changed);
  const name = String(valueOf(row, model.subject.name) || row.id || '');
  const { id, index } = row;
  return (
    <input
      type="checkbox"
      tabIndex={props.tabIndex}
      aria-label={model.subject.words.select(row, name)}
      disabled={id === null}
      checked={id === null ? selection.isAll : selection.has(id)}
      onChange={({ nativeEvent }) => {
        if (nativeEvent instanceof MouseEvent && nativeEvent.shiftKey) {
          onExtend(index);
        } else if (id !== null) {
          selection.toggle(id, index);
        }
      }}
    />
  );
}

function SelectGroup(
  props: ISelecting & { row: IRow; tabIndex: number }
): React.ReactElement {
  const { model, row, onExtend, trans } = props;
  const { selection, windows } = model;
  useRevision(selection.changed);
  const path = row.group?.path ?? [];
  const state = selection.ofGroup(
    keyOf(path),
    row.group?.runs ?? 0,
    idsBelow(windows.snapshot.rows, row)
  );
  return (
    <input
      type="checkbox"
      tabIndex={props.tabIndex}
      aria-label={trans.__(
        'Select the runs of %1',
        path.map(value => value ?? trans.__('no value')).join(', ')
      )}
      checked={state === 'all'}
      ref={node => {
        if (node) {
          node.indeterminate = state === 'some';
        }
      }}
      onChange={({ nativeEvent }) => {
        if (nativeEvent instanceof MouseEvent && nativeEvent.shiftKey) {
          onExtend(row.index);
        } else {
          props.onToggleGroup(row);
        }
      }}
    />
  );
}
