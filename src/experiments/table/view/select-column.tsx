import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';
import type { Column } from 'react-data-grid';

import { useSignalled } from '../../view/hooks';
import { NAME } from '../column-words';
import type { RunTableModel } from '../model';
import type { IRow } from '../windows';
import { valueOf } from '../windows';

import { useRevision } from './use-revision';

/** The column's key. */
export const SELECT = 'select';

interface ISelecting {
  model: RunTableModel;
  /** Select from the last row toggled to this one. */
  onExtend: (index: number) => void;
  trans: TranslationBundle;
}

/** Boxes that select runs. */
export function selectColumn(props: ISelecting): Column<IRow> {
  const { model, onExtend, trans } = props;
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
      <SelectAll model={model} tabIndex={tabIndex} trans={trans} />
    ),
    renderCell: ({ row, tabIndex }) => (
      <SelectRow
        model={model}
        row={row}
        tabIndex={tabIndex}
        onExtend={onExtend}
        trans={trans}
      />
    )
  };
}

function SelectAll(props: {
  model: RunTableModel;
  tabIndex: number;
  trans: TranslationBundle;
}): React.ReactElement {
  const { model, trans } = props;
  const { selection, windows } = model;
  useRevision(selection.changed);
  const rows = useSignalled(windows.changed, () => windows.snapshot.rows);
  const count = selection.count(rows.length);
  const every = rows.length > 0 && count === rows.length;
  return (
    <input
      type="checkbox"
      tabIndex={props.tabIndex}
      aria-label={trans.__('Select all runs that match')}
      title={trans.__('Select all runs that match')}
      checked={every}
      disabled={rows.length === 0}
      ref={node => {
        if (node) {
          node.indeterminate = count > 0 && !every;
        }
      }}
      onChange={() => (count > 0 ? selection.clear() : selection.selectAll())}
    />
  );
}

function SelectRow(props: {
  model: RunTableModel;
  row: IRow;
  tabIndex: number;
  onExtend: (index: number) => void;
  trans: TranslationBundle;
}): React.ReactElement {
  const { model, row, onExtend, trans } = props;
  const { selection } = model;
  useRevision(selection.changed);
  const name = String(valueOf(row, NAME) || row.id || '');
  const { id, index } = row;
  return (
    <input
      type="checkbox"
      tabIndex={props.tabIndex}
      aria-label={trans.__('Select run %1', name)}
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
