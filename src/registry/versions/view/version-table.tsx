import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import {
  ActionButton,
  DownState,
  EmptyState,
  tellFailure,
  useSignalled
} from '../../../core';
import { useResource } from '../../../core/ui/hooks';
import { columnMenu, openMenu } from '../../../experiments/table/menus';
import type { RunTableModel } from '../../../experiments/table/model';
import { isOfQuery } from '../../../experiments/table/query-text';
import { FIRST_VIEW } from '../../../experiments/table/view-state';
import { ColumnsDrawer } from '../../../experiments/table/view/columns-drawer';
import { RunGrid } from '../../../experiments/table/view/grid';
import { QueryBox } from '../../../experiments/table/view/query-box';
import { Freshness } from '../../../experiments/table/view/status-line';
import { MenuButton } from '../../../experiments/table/view/toolbar';
import type { ModelsService } from '../../service';
import type { IVersionCommands } from '../actions';
import { canCompare, copyCsv } from '../actions';
import type { VersionTableService } from '../service';
import { versionOf } from '../service';

import { Compared } from './compared';
import { VersionDrawer } from './version-drawer';

/** All versions of all models: query, sort, arrange, compare. */
export function VersionTable(props: VersionTable.IProps): React.ReactElement {
  const { model, commands, trans } = props;
  const { windows, selection } = model;
  const view = useSignalled(model.changed, () => model.view);
  const opened = useSignalled(model.changed, () => model.opened);
  const snapshot = useSignalled(windows.changed, () => windows.snapshot);
  const selected = useSignalled(selection.changed, () =>
    selection.count(windows.snapshot.matched)
  );
  const known = useResource(model.columns);
  const [choosing, setChoosing] = React.useState(false);
  const [compared, setCompared] = React.useState<readonly string[] | null>(
    null
  );
  React.useEffect(() => {
    if (opened) {
      setChoosing(false);
      setCompared(null);
    }
  }, [opened]);

  const { rows, total, matched, state, switching } = snapshot;
  // Before the columns are known there is no question: show the error of that request.
  const error = snapshot.error ?? (total === null ? known.error : null) ?? null;
  const queryError = error && isOfQuery(error) ? error : null;
  const tell = (reason: unknown) => tellFailure(reason, trans);
  const extend = (index: number) => void selection.extend(index).catch(tell);
  const compare = () =>
    void model
      .selected()
      .then(ids => {
        model.open(null);
        setChoosing(false);
        setCompared(ids);
      })
      .catch(tell);
  const shownValues = React.useMemo(
    () => model.shown.map(({ name }) => name),
    [model.shown]
  );

  return (
    <div className="gol-RunTable">
      <div className="gol-RunTable-toolbar">
        <QueryBox
          model={model}
          query={view.query}
          error={queryError}
          doubts={snapshot.doubts}
          trans={trans}
        />
        <div className="gol-RunTable-tools">
          <button
            type="button"
            className="gol-RunTable-button"
            aria-expanded={choosing}
            onClick={() => {
              model.open(null);
              setCompared(null);
              setChoosing(!choosing);
            }}
          >
            {trans.__('Columns')}
          </button>
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
        </div>
      </div>
      {error && !queryError && (
        <DownState
          what={trans.__('The versions cannot be read.')}
          error={error}
          busy={known.busy}
          trans={trans}
          onRetry={() => {
            model.refresh();
            if (total === null) {
              void model.columns.refresh();
            }
          }}
        />
      )}
      {state?.problem && !error && (
        <p className="gol-Versions-problem" role="status">
          {trans.__('The versions are not updated: %1', state.problem)}
        </p>
      )}
      <div className="gol-RunTable-body">
        <div className="gol-RunTable-main">
          {total === null && !error && (
            <div className="gol-Loading" role="status">
              <span className="gol-Loading-bar" aria-hidden="true" />
              <span className="gol-VisuallyHidden">{trans.__('Loading…')}</span>
            </div>
          )}
          {model.shown.length > 0 && (
            <RunGrid
              model={model}
              trans={trans}
              onColumnMenu={(column, left, top) =>
                openMenu(columnMenu(model, column, trans), left, top)
              }
              onRowMenu={({ id, index }, left, top) => {
                if (!id) {
                  return;
                }
                if (!selection.has(id)) {
                  selection.clear();
                  selection.toggle(id, index);
                }
                const version = versionOf(id);
                const { deploy } = commands;
                openMenu(
                  [
                    {
                      label: trans.__('Show Details and Files'),
                      execute: () => model.open(id)
                    },
                    {
                      label: trans.__('Compare'),
                      enabled: canCompare(selection.count(matched)),
                      execute: compare
                    },
                    null,
                    ...(deploy
                      ? [
                          {
                            label: trans.__('Deploy…'),
                            execute: () => deploy(version)
                          }
                        ]
                      : []),
                    {
                      label: trans.__('Set Alias…'),
                      execute: () => commands.setAlias(version)
                    },
                    {
                      label: trans.__('Alias History'),
                      execute: () => commands.history(version)
                    },
                    null,
                    {
                      label: trans.__('Copy as CSV'),
                      execute: () => void copyCsv(model, trans)
                    },
                    null,
                    {
                      label: trans.__('Delete…'),
                      execute: () => commands.remove(version)
                    }
                  ],
                  left,
                  top
                );
              }}
              onExtend={extend}
              onToggleGroup={() => undefined}
              onDelete={() => undefined}
            />
          )}
          {rows.length === 0 && total !== null && !switching && !queryError && (
            <div className="gol-RunTable-empty">
              {state?.complete === false && !error ? (
                <EmptyState
                  text={trans.__(
                    'MLflow has not answered yet. The versions appear as they are read.'
                  )}
                />
              ) : (
                <NoVersions {...props} total={total} />
              )}
            </div>
          )}
        </div>
        {choosing && (
          <ColumnsDrawer
            model={model}
            onClose={() => setChoosing(false)}
            trans={trans}
          />
        )}
        {compared && !choosing && (
          <Compared
            {...props}
            ids={compared}
            columns={shownValues}
            onClose={() => setCompared(null)}
          />
        )}
        {opened && !choosing && !compared && (
          <VersionDrawer
            key={opened}
            {...props}
            id={opened}
            onClose={() => model.open(null)}
          />
        )}
      </div>
      <div className="gol-RunTable-status">
        <span className="gol-RunTable-totals" role="status">
          {total !== null && countWords(matched, total, trans)}
          {selected > 0 && (
            <strong>
              {' · '}
              {trans.__('%1 selected', selected.toLocaleString())}
            </strong>
          )}
        </span>
        {selected > 0 && (
          <span
            className="gol-RunTable-actions"
            role="toolbar"
            aria-label={trans.__('Selected versions')}
          >
            {canCompare(selected) && (
              <ActionButton
                label={trans.__('Compare')}
                caption={trans.__('Show the selected versions side by side')}
                onClick={compare}
              />
            )}
            <ActionButton
              label={trans.__('Copy CSV')}
              caption={trans.__('Copy the shown columns as CSV')}
              onClick={() => void copyCsv(model, trans)}
            />
            <ActionButton
              label={trans.__('Clear')}
              caption={trans.__('Clear the selection (Escape)')}
              onClick={() => selection.clear()}
            />
          </span>
        )}
        {state &&
          (state.complete ? (
            <Freshness state={state} trans={trans} />
          ) : (
            <span className="gol-RunTable-freshness" role="status">
              {trans.__('Reading versions and their runs…')}
            </span>
          ))}
      </div>
    </div>
  );
}

export namespace VersionTable {
  export interface IProps {
    model: RunTableModel;
    service: VersionTableService;
    models: ModelsService;
    rendermime: IRenderMimeRegistry;
    commands: IVersionCommands;
    trans: TranslationBundle;
  }
}

function countWords(
  matched: number,
  total: number,
  trans: TranslationBundle
): string {
  const all = total.toLocaleString();
  return matched === total
    ? trans._n('%2 version', '%2 versions', total, all)
    : trans.__('%1 of %2 versions', matched.toLocaleString(), all);
}

function NoVersions(
  props: VersionTable.IProps & { total: number }
): React.ReactElement {
  const { model, commands, total, trans } = props;
  if (model.view.query && total > 0) {
    return (
      <EmptyState
        text={trans.__('No version matches this query.')}
        actions={[
          {
            label: trans.__('Clear the query'),
            onClick: () => model.setView({ query: '' })
          }
        ]}
      />
    );
  }
  return (
    <EmptyState
      text={trans.__(
        'No model is registered yet. Log a model in a run, then register it as a version.'
      )}
      actions={[
        {
          label: trans.__("Register a run's model…"),
          onClick: commands.register
        }
      ]}
    />
  );
}
