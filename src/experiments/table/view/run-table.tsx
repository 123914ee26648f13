import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { ActionButton, EmptyState, useSignalled } from '../../../core';
import type { ExperimentsModel } from '../../model';
import type { IRunActions } from '../../view/actions';
import { FirstRun } from '../../view/first-run';
import type { RunActions } from '../actions';
import { canCompare } from '../actions';
import { NAME } from '../column-messages';
import { groupMenu } from '../group-menus';
import { runMenu } from '../menus';
import type { RunTableModel } from '../model';
import type { IRow } from '../rows';
import { valueOf } from '../rows';
import type { ViewStore } from '../saved-views';
import type { RunTableService } from '../service';
import { askForTag } from '../tag-form';
import { FIRST_VIEW } from '../view-state';

import { Notices } from './notices';
import { QueriedTable, useQueriedTable } from './queried-table';
import { RunDrawer } from './run-drawer';
import { ExperimentChoice, RunMenus, RunTools } from './toolbar';

/** All runs as a table: query, sort, arrange, select and change. */
export function RunTable(props: RunTable.IProps): React.ReactElement {
  const { model, actions, trans } = props;
  const table = useQueriedTable(model);
  const { view, snapshot, selected, opened } = table;
  useSignalled(model.changed, () => model.isDismissed('no_statistics'));
  const { rows, matched, state } = snapshot;
  const deleted = view.lifecycle === 'deleted';
  const tag = () =>
    void askForTag(selected, (key, value) => actions.tag(key, value), trans);

  return (
    <QueriedTable
      model={model}
      table={table}
      words={{
        down: trans.__('The runs cannot be read.'),
        reading: trans.__('No match among the runs read so far.'),
        noMatch: trans.__('No run matches this query.'),
        selected: trans.__('Selected runs'),
        totals: (matched, total) => countWords(matched, total, deleted, trans)
      }}
      scope={<ExperimentChoice model={model} trans={trans} />}
      tools={<RunTools {...props} />}
      menus={<RunMenus {...props} />}
      notices={
        state && (
          <Notices
            model={model}
            state={state}
            onAnalyze={async () => {
              await props.service.analyze();
              model.refresh();
            }}
            trans={trans}
          />
        )
      }
      empty={<NoRuns {...props} />}
      rowMenu={id => runMenu(model, actions, id, tag, trans)}
      groupMenu={(row, select) => groupMenu(model, row, select, trans)}
      onDelete={() => {
        if (!deleted && selected > 0) {
          void actions.delete();
        }
      }}
      actions={
        <>
          {selected < matched && (
            <ActionButton
              label={trans.__('Select all %1', matched.toLocaleString())}
              onClick={() => model.selection.selectAll()}
            />
          )}
          {canCompare(selected) && (
            <ActionButton
              label={trans.__('Compare')}
              caption={trans.__('Show the selected runs side by side')}
              onClick={() => void actions.compare()}
            />
          )}
          <ActionButton
            label={trans.__('Copy CSV')}
            caption={trans.__('Copy the shown columns as CSV')}
            onClick={() => void actions.copyCsv()}
          />
          <ActionButton
            label={trans.__('Copy DataFrame')}
            caption={trans.__(
              'Copy code for a cell that makes a pandas DataFrame of the shown columns'
            )}
            onClick={() => void actions.copyDataFrame()}
          />
          {deleted ? (
            <ActionButton
              label={trans.__('Restore')}
              caption={trans.__('Restore the selected runs')}
              onClick={() => void actions.restore()}
            />
          ) : (
            <>
              <ActionButton label={trans.__('Tag…')} onClick={tag} />
              <ActionButton
                label={trans.__('Delete')}
                caption={trans.__(
                  'Delete the selected runs; they can be restored'
                )}
                onClick={() => void actions.delete()}
              />
            </>
          )}
        </>
      }
      trans={trans}
    >
      {opened && (
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
    </QueriedTable>
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
    trans: TranslationBundle;
  }
}

/** Return the run's name, if its row is fetched. */
function nameOf(rows: readonly IRow[], runId: string): string {
  const row = rows.find(({ id }) => id === runId);
  return row ? String(valueOf(row, NAME) ?? '') : '';
}

function countWords(
  matched: number,
  total: number,
  deleted: boolean,
  trans: TranslationBundle
): string {
  const all = total.toLocaleString();
  if (matched !== total) {
    return deleted
      ? trans.__('%1 of %2 deleted runs', matched.toLocaleString(), all)
      : trans.__('%1 of %2 runs', matched.toLocaleString(), all);
  }
  return deleted
    ? trans._n('%2 deleted run', '%2 deleted runs', total, all)
    : trans._n('%2 run', '%2 runs', total, all);
}

function NoRuns(props: RunTable.IProps): React.ReactElement {
  const { model, trans } = props;
  const { experiments, lifecycle } = model.view;
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
