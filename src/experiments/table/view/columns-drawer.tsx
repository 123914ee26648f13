import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { ResourceView, useSignalled } from '../../../core';
import type { ColumnGroup } from '../column-messages';
import { columnLabel, groupOfColumn } from '../column-messages';
import type { RunTableModel } from '../model';
import type { IRunColumnInfo } from '../service';

import { Drawer } from './drawer';

/** Columns in the page at once: a search finds the others. */
const MOST_LISTED = 300;
const GROUPS: readonly ColumnGroup[] = ['attribute', 'metric', 'param', 'tag'];

/** The list of columns: search, and how many runs have each. */
export function ColumnsDrawer(props: ColumnsDrawer.IProps): React.ReactElement {
  const { model, trans } = props;
  const [search, setSearch] = React.useState('');
  React.useEffect(() => {
    void model.columns.refresh();
  }, [model]);
  return (
    <Drawer title={trans.__('Columns')} onClose={props.onClose} trans={trans}>
      <input
        type="search"
        className="gol-RunTable-input"
        aria-label={trans.__('Search columns')}
        placeholder={trans.__('Search columns')}
        value={search}
        autoFocus
        onChange={event => setSearch(event.target.value)}
      />
      <ResourceView
        resource={model.columns}
        trans={trans}
        down={trans.__('The columns cannot be read.')}
        keepMounted
        empty={<></>}
      >
        {({ columns }) => (
          <ColumnLists
            model={model}
            columns={columns}
            search={search.trim().toLowerCase()}
            trans={trans}
          />
        )}
      </ResourceView>
    </Drawer>
  );
}

export namespace ColumnsDrawer {
  export interface IProps {
    model: RunTableModel;
    onClose: () => void;
    trans: TranslationBundle;
  }
}

function ColumnLists(props: {
  model: RunTableModel;
  columns: readonly IRunColumnInfo[];
  search: string;
  trans: TranslationBundle;
}): React.ReactElement {
  const { model, columns, search, trans } = props;
  const shown = useSignalled(model.changed, () => model.shown);
  const names = new Set(shown.map(({ name }) => name));
  const fitting = columns.filter(
    ({ column }) =>
      column.toLowerCase().includes(search) ||
      columnLabel(column, trans).toLowerCase().includes(search)
  );
  const listed = fitting.slice(0, MOST_LISTED);
  const toggle = (column: string) =>
    model.setColumns(all =>
      names.has(column)
        ? all.filter(({ name }) => name !== column)
        : // A visible place: behind the pinned columns.
          [
            ...all.filter(({ pinned }) => pinned),
            { name: column },
            ...all.filter(({ pinned }) => !pinned)
          ]
    );
  return (
    <>
      {GROUPS.map(group => {
        const own = listed.filter(
          ({ column }) => groupOfColumn(column) === group
        );
        return own.length === 0 ? null : (
          <fieldset key={group} className="gol-RunTable-columns">
            <legend>
              {group === 'attribute'
                ? model.subject.words.attributes
                : groupTitle(group, trans)}
            </legend>
            {own.map(({ column, runs }) => (
              <label key={column} className="gol-RunTable-column">
                <input
                  type="checkbox"
                  checked={names.has(column)}
                  disabled={column === model.subject.name}
                  onChange={() => toggle(column)}
                />
                <span className="gol-RunTable-text" title={column}>
                  {columnLabel(column, trans)}
                </span>
                <span
                  className="gol-RunTable-count"
                  title={model.subject.words.having(runs)}
                >
                  {runs.toLocaleString()}
                </span>
              </label>
            ))}
          </fieldset>
        );
      })}
      {fitting.length === 0 && (
        <p className="gol-RunTable-quiet">
          {trans.__('No column has this name.')}
        </p>
      )}
      {fitting.length > listed.length && (
        <p className="gol-RunTable-quiet">
          {trans.__(
            '%1 more columns. Search to find them.',
            (fitting.length - listed.length).toLocaleString()
          )}
        </p>
      )}
    </>
  );
}

function groupTitle(
  group: Exclude<ColumnGroup, 'attribute'>,
  trans: TranslationBundle
): string {
  switch (group) {
    case 'metric':
      return trans.__('Metrics');
    case 'param':
      return trans.__('Parameters');
    case 'tag':
      return trans.__('Tags');
  }
}
