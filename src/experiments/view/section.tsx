import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import {
  ActionButton,
  EmptyState,
  ResourceView,
  useSignalled
} from '../../core';
import { useResource } from '../../core/ui/hooks';
import type { ExperimentsModel } from '../model';

import type { ExperimentActions } from '../experiment-actions';
import type { IRunActions } from './actions';
import { FirstRun } from './first-run';
import { RunRows } from './run-rows';
import { Toolbar } from './toolbar';

import '../../../style/experiments/experiments.css';

/** Experiments and runs; running ones come first, with their curves. */
export function ExperimentsView(
  props: ExperimentsView.IProps
): React.ReactElement {
  const { model, actions, manage, trans } = props;
  const { list } = model;
  const snapshot = useSignalled(list.changed, () => list.snapshot);
  const { error } = useResource(list.head);
  const { query } = list;
  const filterError =
    error?.status === 400 && query.filter !== '' ? error : undefined;
  const rows = (
    <RunRows model={model} actions={actions} trans={trans} {...snapshot} />
  );
  return (
    <div className="gol-Experiments">
      <Toolbar
        model={model}
        manage={manage}
        query={query}
        error={filterError}
        trans={trans}
      />
      <div className="gol-Experiments-table">
        {actions.canOpenTable() && (
          <ActionButton
            label={trans.__('Open the run table')}
            caption={trans.__('All runs as a table in the main area')}
            onClick={actions.openTable}
          />
        )}
        <ActionButton
          label={trans.__('Open MLflow')}
          caption={trans.__('MLflow’s own pages in a tab of the browser')}
          onClick={() => actions.openMlflow()}
        />
      </div>
      {filterError ? (
        <div className="gol-mod-stale">{rows}</div>
      ) : (
        <ResourceView
          resource={list.head}
          trans={trans}
          down={trans.__('The runs cannot be read.')}
          keepMounted
          empty={<NoRuns {...props} />}
        >
          {() => rows}
        </ResourceView>
      )}
    </div>
  );
}

export namespace ExperimentsView {
  export interface IProps {
    model: ExperimentsModel;
    actions: IRunActions;
    manage: Pick<ExperimentActions, 'add' | 'delete'>;
    trans: TranslationBundle;
  }
}

function NoRuns(props: ExperimentsView.IProps): React.ReactElement {
  const { model, actions, trans } = props;
  // The query of the shown runs, while another query is running.
  const query = model.list.head.value?.query ?? model.list.query;
  if (query.filter) {
    return (
      <EmptyState
        text={trans.__('No run matches this filter.')}
        actions={[
          {
            label: trans.__('Clear the filter'),
            onClick: () => void model.list.setQuery({ ...query, filter: '' })
          }
        ]}
      />
    );
  }
  if (query.experiment) {
    return (
      <EmptyState
        text={trans.__('This experiment has no runs yet.')}
        actions={[
          {
            label: trans.__('Show all experiments'),
            onClick: () =>
              void model.list.setQuery({ ...query, experiment: '' })
          }
        ]}
      />
    );
  }
  return <FirstRun onInsert={actions.insertTrack} trans={trans} />;
}
