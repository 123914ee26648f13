import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { ApiError } from '../../../core';
import {
  DownState,
  EmptyState,
  Loading,
  tellFailure,
  useSignalled
} from '../../../core';
import { useResource } from '../../../core/ui/hooks';
import type { MenuItem } from '../menus';
import { columnMenu, openMenu } from '../menus';
import type { RunTableModel } from '../model';
import { isOfQuery } from '../query-text';
import type { IRow } from '../rows';
import type { IView } from '../view-state';
import { FIRST_VIEW } from '../view-state';
import type { IWindowsSnapshot } from '../windows';

import { ColumnsDrawer } from './columns-drawer';
import { RunGrid } from './grid';
import { QueryBox } from './query-box';
import { StatusLine } from './status-line';
import { MenuButton } from './toolbar';

/** The state of a table that its page reads. `T` is what a page shows beside the rows. */
export interface IQueriedTable<T> {
  readonly view: IView;
  readonly snapshot: IWindowsSnapshot;
  /** How many rows are selected. */
  readonly selected: number;
  readonly error: ApiError | null;
  /** Whether the names of columns are fetched. */
  readonly busy: boolean;
  /** The one thing beside the rows: the list of columns, something of the page's own, or nothing. */
  readonly beside: 'columns' | T | null;
  /** The row whose detail is shown; null while something else is beside the rows. */
  readonly opened: string | null;
  show(beside: 'columns' | T | null): void;
}

export function useQueriedTable<T = never>(
  model: RunTableModel
): IQueriedTable<T> {
  const { windows, selection } = model;
  const view = useSignalled(model.changed, () => model.view);
  const opened = useSignalled(model.changed, () => model.opened);
  const snapshot = useSignalled(windows.changed, () => windows.snapshot);
  const selected = useSignalled(selection.changed, () =>
    selection.count(windows.snapshot.matched)
  );
  const known = useResource(model.columns);
  const [beside, setBeside] = React.useState<'columns' | T | null>(null);
  React.useEffect(() => {
    if (opened) {
      setBeside(null);
    }
  }, [opened]);
  // Before the columns are known there is no question: show the error of that request.
  const error =
    snapshot.error ?? (snapshot.total === null ? known.error : null) ?? null;
  return {
    ...{ view, snapshot, selected, error, beside },
    busy: known.busy,
    opened: beside === null ? opened : null,
    show: next => {
      if (next !== null) {
        model.open(null);
      }
      setBeside(next);
    }
  };
}

/** Rows that a query chooses: the query, the rows, what stands beside them, and a line about all of them. */
export function QueriedTable<T>(
  props: QueriedTable.IProps<T>
): React.ReactElement {
  const { model, table, words, trans } = props;
  const { selection, windows } = model;
  const { view, snapshot, selected, error, beside } = table;
  const { rows, matched, total, state, switching, doubts } = snapshot;
  const queryError = error && isOfQuery(error) ? error : null;
  const tell = (reason: unknown) => tellFailure(reason, trans);
  const toggleGroup = ({ group, index }: IRow) =>
    void (group && model.toggleGroup(group.path, index).catch(tell));

  return (
    <div className={`gol-RunTable ${props.className ?? ''}`}>
      <div className="gol-RunTable-toolbar">
        {props.scope}
        <QueryBox
          model={model}
          query={view.query}
          error={queryError}
          doubts={doubts}
          trans={trans}
        />
        <div className="gol-RunTable-tools">
          {props.tools}
          <button
            type="button"
            className="gol-RunTable-button"
            aria-expanded={beside === 'columns'}
            onClick={() => table.show(beside === 'columns' ? null : 'columns')}
          >
            {trans.__('Columns')}
          </button>
          {props.menus ?? (
            <MenuButton
              label={trans.__('View')}
              items={() => [
                {
                  label: trans.__('Default Columns'),
                  execute: () => model.setView({ columns: null })
                },
                {
                  label: trans.__('Reset View'),
                  execute: () => model.setView(FIRST_VIEW)
                }
              ]}
            />
          )}
        </div>
      </div>
      {props.notices}
      {error && !queryError && (
        <DownState
          what={words.down}
          error={error}
          busy={table.busy}
          trans={trans}
          onRetry={() => {
            model.refresh();
            if (total === null) {
              void model.columns.refresh();
            }
          }}
        />
      )}
      {state?.problem && !error && words.notUpdated && (
        <p className="gol-RunTable-problem" role="status">
          {words.notUpdated(state.problem)}
        </p>
      )}
      <div className="gol-RunTable-body">
        <div className="gol-RunTable-main">
          {total === null && !error && <Loading trans={trans} />}
          {model.shown.length > 0 && (
            <RunGrid
              model={model}
              trans={trans}
              onColumnMenu={(column, left, top) =>
                openMenu(columnMenu(model, column, trans), left, top)
              }
              onRowMenu={(row, left, top) => {
                const { id } = row;
                if (id === null) {
                  if (row.group && props.groupMenu) {
                    openMenu(
                      props.groupMenu(row, () => toggleGroup(row)),
                      left,
                      top
                    );
                  }
                  return;
                }
                if (!selection.has(id)) {
                  selection.clear();
                  selection.toggle(id, row.index);
                }
                const count = selection.count(windows.snapshot.matched);
                openMenu(props.rowMenu(id, count, row), left, top);
              }}
              onExtend={index => void selection.extend(index).catch(tell)}
              onToggleGroup={toggleGroup}
              onDelete={props.onDelete ?? (() => undefined)}
            />
          )}
          {rows.length === 0 && total !== null && !switching && !queryError && (
            <div className="gol-RunTable-empty">
              {state?.complete === false ? (
                <EmptyState text={words.reading} />
              ) : view.query && total > 0 ? (
                <EmptyState
                  text={words.noMatch}
                  actions={[
                    {
                      label: trans.__('Clear the query'),
                      onClick: () => model.setView({ query: '' })
                    }
                  ]}
                />
              ) : (
                props.empty
              )}
            </div>
          )}
        </div>
        {beside === 'columns' && (
          <ColumnsDrawer
            model={model}
            onClose={() => table.show(null)}
            trans={trans}
          />
        )}
        {props.children}
      </div>
      <StatusLine
        snapshot={snapshot}
        selected={selected}
        totals={total === null ? '' : words.totals(matched, total)}
        progress={words.progress}
        of={words.selected}
        actions={props.actions}
        onClear={() => selection.clear()}
        trans={trans}
      >
        {props.news}
      </StatusLine>
    </div>
  );
}

export namespace QueriedTable {
  export interface IWords {
    /** The rows cannot be read. */
    down: string;
    /** The rows are not updated, and why; a page with notices of its own has none. */
    notUpdated?: (problem: string) => string;
    /** No row is there yet: not all of them are read. */
    reading: string;
    /** Not all rows are read, beside the totals; default: how many are. */
    progress?: string;
    /** No row matches the query. */
    noMatch: string;
    totals: (matched: number, total: number) => string;
    /** Read aloud: what the actions are for. */
    selected: string;
  }

  export interface IProps<T> {
    model: RunTableModel;
    table: IQueriedTable<T>;
    words: IWords;
    className?: string;
    /** Before the query. */
    scope?: React.ReactNode;
    /** Between the query and the choice of columns. */
    tools?: React.ReactNode;
    /** Behind the choice of columns; default: the menu that resets the view. */
    menus?: React.ReactNode;
    notices?: React.ReactNode;
    /** Shown where there are no rows at all. */
    empty: React.ReactNode;
    /** The menu of a row, which is selected by then as one of `selected` rows. */
    rowMenu: (id: string, selected: number, row: IRow) => MenuItem[];
    groupMenu?: (row: IRow, select: () => void) => MenuItem[];
    onDelete?: () => void;
    /** Beside the rows, unless columns are chosen. */
    children?: React.ReactNode;
    /** What can be done with the selected rows. */
    actions?: React.ReactNode;
    /** Beside the totals: that there are newer rows. */
    news?: React.ReactNode;
    trans: TranslationBundle;
  }
}
