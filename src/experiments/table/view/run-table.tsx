import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { ApiError, DownState, EmptyState, useSignalled } from '../../../core';
import { useResource } from '../../../core/ui/hooks';
import type { ExperimentsModel } from '../../model';
import type { IRunActions } from '../../view/actions';
import { FirstRun } from '../../view/first-run';
import type { RunActions } from '../actions';
import { isOfQuery } from '../query-text';
import { NAME } from '../column-messages';
import { groupMenu } from '../group-menus';
import { columnMenu, openMenu, runMenu } from '../menus';
import type { RunTableModel } from '../model';
import type { ViewStore } from '../saved-views';
import type { RunTableService } from '../service';
import { askForTag } from '../tag-form';
import { FIRST_VIEW } from '../view-state';
import type { IRow } from '../rows';
import { valueOf } from '../rows';

import { ColumnsDrawer } from './columns-drawer';
import { RunGrid } from './grid';
import { Notices } from './notices';
import { RunDrawer } from './run-drawer';
import { StatusLine } from './status-line';
import { Toolbar } from './toolbar';

/** All runs as a table: query, sort, arrange, select and change. */
export function RunTable(props: RunTable.IProps): React.ReactElement {
  const { model, actions, trans } = props;
  const { windows, selection } = model;
  const view = useSignalled(model.changed, () => model.view);
  const opened = useSignalled(model.changed, () => model.opened);
  useSignalled(model.changed, () => model.isDismissed('no_statistics'));
  const snapshot = useSignalled(windows.changed, () => windows.snapshot);
  const selected = useSignalled(selection.changed, () =>
    selection.count(windows.snapshot.matched)
  );
  const columnsResource = useResource(model.columns);
  const [choosing, setChoosing] = React.useState(false);

  React.useEffect(() => {
    if (opened) {
      setChoosing(false);
    }
  }, [opened]);

  const { rows, total, state, switching } = snapshot;
  // Before the columns are known there is no question: show the error of that
  // request.
  const error =
    snapshot.error ?? (total === null ? columnsResource.error : null) ?? null;
  const queryError = error && isOfQuery(error) ? error : null;
  const isLoading = total === null && !error;

  const tell = (reason: unknown) =>
    props.onFailure(ApiError.from(reason, trans));
  const extend = (index: number) => void selection.extend(index).catch(tell);
  const toggleGroup = ({ group, index }: IRow) =>
    void (group && model.toggleGroup(group.path, index).catch(tell));
  const tag = () =>
    void askForTag(selected, (key, value) => actions.tag(key, value), trans);

  return (
    <div className="gol-RunTable">
      <Toolbar
        {...props}
        choosing={choosing}
        queryError={queryError}
        onChoose={() => {
          model.open(null);
          setChoosing(!choosing);
        }}
      />
      {state && (
        <Notices
          model={model}
          state={state}
          onAnalyze={async () => {
            await props.service.analyze();
            model.refresh();
          }}
          trans={trans}
        />
      )}
      {error && !queryError && (
        <DownState
          what={trans.__('The runs cannot be read.')}
          error={error}
          busy={columnsResource.busy}
          trans={trans}
          onRetry={() => {
            model.refresh();
            if (total === null) {
              void model.columns.refresh();
            }
          }}
        />
      )}
      <div className="gol-RunTable-body">
        <div className="gol-RunTable-main">
          {isLoading && (
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
              onRowMenu={(row, left, top) => {
                if (row.group) {
                  const items = groupMenu(
                    model,
                    row,
                    () => toggleGroup(row),
                    trans
                  );
                  openMenu(items, left, top);
                }
                if (!row.id) {
                  return;
                }
                if (!selection.has(row.id)) {
                  selection.clear();
                  selection.toggle(row.id, row.index);
                }
                openMenu(
                  runMenu(model, actions, row.id, tag, trans),
                  left,
                  top
                );
              }}
              onExtend={extend}
              onToggleGroup={toggleGroup}
              onDelete={() => {
                if (view.lifecycle !== 'deleted' && selected > 0) {
                  void actions.delete();
                }
              }}
            />
          )}
          {rows.length === 0 && total !== null && !switching && !queryError && (
            <div className="gol-RunTable-empty">
              <NoRuns
                {...props}
                total={total}
                reading={state?.complete === false}
              />
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
        {opened && !choosing && (
          <RunDrawer
            model={model}
            runs={props.runs}
            runId={opened}
            name={nameOf(rows, opened)}
            actions={props.runActions}
            setNote={(runId, tags) => props.service.tag([runId], tags)}
            onClose={() => model.open(null)}
            trans={trans}
          />
        )}
      </div>
      <StatusLine
        snapshot={snapshot}
        selected={selected}
        deleted={view.lifecycle === 'deleted'}
        onSelectAll={() => selection.selectAll()}
        onCompare={() => void actions.compare()}
        onCopyCsv={() => void actions.copyCsv()}
        onCopyDataFrame={() => void actions.copyDataFrame()}
        onTag={tag}
        onDelete={() => void actions.delete()}
        onRestore={() => void actions.restore()}
        onClear={() => selection.clear()}
        trans={trans}
      />
    </div>
  );
}

export namespace RunTable {
  export interface IProps {
    model: RunTableModel;
    /** Shows one run. */
    runs: ExperimentsModel;
    service: RunTableService;
    actions: RunActions;
    runActions: IRunActions;
    store: ViewStore;
    onFailure: (error: ApiError) => void;
    trans: TranslationBundle;
  }
}

/** Return the run's name, if its row is fetched. */
function nameOf(rows: readonly IRow[], runId: string): string {
  const row = rows.find(({ id }) => id === runId);
  return row ? String(valueOf(row, NAME) ?? '') : '';
}

function NoRuns(
  props: RunTable.IProps & { total: number; reading: boolean }
): React.ReactElement {
  const { model, total, trans } = props;
  const { query, experiments, lifecycle } = model.view;
  if (props.reading) {
    return (
      <EmptyState text={trans.__('No match among the runs read so far.')} />
    );
  }
  if (query && total > 0) {
    return (
      <EmptyState
        text={trans.__('No run matches this query.')}
        actions={[
          {
            label: trans.__('Clear the query'),
            onClick: () => model.setView({ query: '' })
          }
        ]}
      />
    );
  }
  if (lifecycle === 'deleted') {
    return (
      <EmptyState
        text={trans.__('No deleted runs.')}
        actions={[
          {
            label: trans.__('Show active runs'),
            onClick: () => model.setView({ lifecycle: 'active' })
          }
        ]}
      />
    );
  }
  if (experiments.length > 0) {
    return (
      <EmptyState
        text={trans.__('This experiment has no runs yet.')}
        actions={[
          {
            label: trans.__('Show all experiments'),
            onClick: () =>
              model.setView({ experiments: FIRST_VIEW.experiments })
          }
        ]}
      />
    );
  }
  return <FirstRun onInsert={props.runActions.insertTrack} trans={trans} />;
}
