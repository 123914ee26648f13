import type { TranslationBundle } from '@jupyterlab/translation';
import { PathExt } from '@jupyterlab/coreutils';
import * as React from 'react';

import type { DataTable, Resource } from '../../core';
import {
  ActionButton,
  Elapsed,
  EmptyState,
  RelativeTime,
  ResourceView
} from '../../core';
import { ListTable } from '../../core/ui/list-table';
import { PageHead } from '../../core/ui/page';
import type { ISweep } from '../service';

import type { ISweepActions } from './actions';
import {
  SweepButtons,
  SweepProgress,
  SweepState,
  bestOf,
  endedOf,
  stateOf
} from './actions';

/** The page "Sweeps": all sweeps, newest first, each with its progress. */
export function SweepList(props: {
  list: Resource<ISweep[]>;
  actions: ISweepActions;
  trans: TranslationBundle;
}): React.ReactElement {
  const { list, actions, trans } = props;
  const columns = React.useMemo(
    () => columnsOf(actions, trans),
    [actions, trans]
  );
  return (
    <>
      <PageHead
        title={trans.__('Sweeps')}
        actions={
          <ActionButton
            label={trans.__('Insert a %1 cell', '%%sweep')}
            onClick={actions.insert}
          />
        }
      />
      <ResourceView
        resource={list}
        trans={trans}
        down={trans.__('Sweeps cannot be read.')}
        keepMounted
        empty={
          <EmptyState
            text={trans.__(
              'No sweeps yet. Put %1 at the top of a cell. Each value then runs as a trial in a fresh kernel.',
              '%%sweep lr=0.1,0.01 --metric loss'
            )}
          />
        }
      >
        {sweeps => (
          <ListTable
            caption={trans.__('Sweeps')}
            columns={columns}
            rows={sweeps}
            rowKey={({ id }) => id}
            onOpen={({ id }) => actions.open(id)}
            sort={{ column: 'created', descending: true }}
            count={count => trans._n('%1 sweep', '%1 sweeps', count)}
            trans={trans}
          />
        )}
      </ResourceView>
    </>
  );
}

function columnsOf(
  actions: ISweepActions,
  trans: TranslationBundle
): DataTable.IColumn<ISweep>[] {
  return [
    {
      id: 'name',
      title: trans.__('Name'),
      isHead: true,
      cell: ({ name }) => name,
      value: ({ name }) => name,
      tip: ({ name, id }) => `${name} (${id})`
    },
    {
      id: 'state',
      title: trans.__('State'),
      cell: sweep => <SweepState sweep={sweep} trans={trans} />,
      value: sweep => stateOf(sweep, trans)[1]
    },
    {
      id: 'trials',
      title: trans.__('Trials'),
      titleTip: trans.__('Trials that have ended, of those that are planned'),
      cell: sweep => <SweepProgress sweep={sweep} trans={trans} />,
      value: sweep => endedOf(sweep) / Math.max(sweep.planned, 1)
    },
    {
      id: 'best',
      title: trans.__('Best'),
      titleTip: trans.__('The best value of the metric that the sweep follows'),
      cell: sweep => bestOf(sweep, trans) || '–',
      value: sweep => bestOf(sweep, trans) || null,
      tip: sweep => bestOf(sweep, trans)
    },
    {
      id: 'method',
      title: trans.__('Method'),
      wide: true,
      cell: ({ method }) => method,
      value: ({ method }) => method
    },
    {
      id: 'kernels',
      title: trans.__('Kernels'),
      wide: true,
      cell: ({ on }) => on.join(', '),
      value: ({ on }) => on.join(', '),
      tip: ({ on }) => on.join(', ')
    },
    {
      id: 'notebook',
      title: trans.__('Notebook'),
      cell: ({ notebook = '' }) => PathExt.basename(notebook) || '–',
      value: ({ notebook }) => notebook || null,
      tip: ({ notebook }) => notebook
    },
    {
      id: 'took',
      title: trans.__('Duration'),
      numeric: true,
      cell: ({ created_at, ended_at }) => (
        <Elapsed since={created_at} until={ended_at ?? null} brief />
      ),
      value: ({ created_at, ended_at }) =>
        (ended_at ?? Date.now() / 1000) - created_at
    },
    {
      id: 'created',
      title: trans.__('Started'),
      numeric: true,
      cell: ({ created_at }) => (
        <RelativeTime seconds={created_at} trans={trans} />
      ),
      value: ({ created_at }) => created_at
    },
    {
      id: 'actions',
      title: <span className="gol-VisuallyHidden">{trans.__('Actions')}</span>,
      cell: (sweep, tabIndex) => (
        <span className="gol-ListTable-actions">
          <SweepButtons {...{ sweep, actions, trans, tabIndex }} />
        </span>
      )
    }
  ];
}
