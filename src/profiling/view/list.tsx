import type { TranslationBundle } from '@jupyterlab/translation';
import { deleteIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { DataTable, Resource, Tone } from '../../core';
import {
  ActionButton,
  EmptyState,
  IconButton,
  RelativeTime,
  ResourceView,
  StatusBadge,
  formatBytes
} from '../../core';
import { ListTable } from '../../core/ui/list-table';
import { PageHead } from '../../core/ui/page';
import type { IProfile } from '../service';

/** The actions on profiles. */
export interface IProfileActions {
  open: (id: string) => void;
  openRun: (runId: string) => void;
  compare: (id: string) => void;
  remove: (id: string) => void;
  /** Insert a cell that records a profile. */
  insert: () => void;
}

/** The page "Profiles": all profiles, newest first. */
export function ProfileList(props: {
  list: Resource<IProfile[]>;
  actions: IProfileActions;
  trans: TranslationBundle;
}): React.ReactElement {
  const { list, actions, trans } = props;
  const columns = React.useMemo(
    () => columnsOf(actions, trans),
    [actions, trans]
  );
  const insert = {
    label: trans.__('Insert a %1 cell', '%%profile'),
    onClick: actions.insert
  };
  return (
    <>
      <PageHead
        title={trans.__('Profiles')}
        actions={<ActionButton {...insert} />}
      />
      <ResourceView
        resource={list}
        trans={trans}
        down={trans.__('Profiles cannot be read.')}
        keepMounted
        empty={
          <EmptyState
            text={trans.__(
              'No profiles yet. Put %1 at the top of a training cell to see where its time is spent.',
              '%%profile'
            )}
          />
        }
      >
        {profiles => (
          <ListTable
            caption={trans.__('Profiles')}
            columns={columns}
            rows={profiles}
            rowKey={({ id }) => id}
            onOpen={({ id }) => actions.open(id)}
            sort={{ column: 'created', descending: true }}
            count={count =>
              trans._n(
                '%2 profile',
                '%2 profiles',
                count,
                count.toLocaleString()
              )
            }
            trans={trans}
          />
        )}
      </ResourceView>
    </>
  );
}

function columnsOf(
  actions: IProfileActions,
  trans: TranslationBundle
): DataTable.IColumn<IProfile>[] {
  const states: Record<IProfile['state'], [Tone, string]> = {
    analyzing: ['busy', trans.__('Analyzing')],
    ready: ['ok', trans.__('Ready')],
    failed: ['error', trans.__('Failed')]
  };
  return [
    {
      id: 'title',
      title: trans.__('Name'),
      isHead: true,
      cell: ({ title }) => title,
      value: ({ title }) => title,
      tip: ({ title }) => title
    },
    {
      id: 'state',
      title: trans.__('State'),
      cell: ({ state, message }) => (
        <StatusBadge
          tone={states[state][0]}
          // The message of a profile in work says how far the work is.
          label={(state === 'analyzing' && message) || states[state][1]}
          caption={message}
        />
      ),
      value: ({ state, message }) => `${states[state][1]} ${message}`
    },
    {
      id: 'run',
      title: trans.__('Run'),
      cell: ({ run_id }, tabIndex) =>
        run_id ? (
          <ActionButton
            label={run_id.slice(0, 8)}
            caption={trans.__('Show the run %1 in the run table', run_id)}
            tabIndex={tabIndex}
            onClick={() => actions.openRun(run_id)}
          />
        ) : (
          '–'
        ),
      value: ({ run_id }) => run_id || null
    },
    {
      id: 'notebook',
      title: trans.__('Notebook'),
      cell: ({ notebook }) => notebook || '–',
      value: ({ notebook }) => notebook || null,
      tip: ({ notebook }) => notebook ?? ''
    },
    {
      id: 'trace',
      title: trans.__('Trace on'),
      titleTip: trans.__('The target that has the trace'),
      wide: true,
      cell: ({ trace_target }) => trace_target || trans.__('this machine'),
      value: ({ trace_target }) => trace_target || trans.__('this machine')
    },
    {
      id: 'size',
      title: trans.__('Size'),
      numeric: true,
      cell: ({ size_bytes = 0 }) =>
        size_bytes > 0 ? formatBytes(size_bytes) : '–',
      value: ({ size_bytes }) => size_bytes || null
    },
    {
      id: 'created',
      title: trans.__('Recorded'),
      numeric: true,
      cell: ({ created_at }) => (
        <RelativeTime seconds={created_at} trans={trans} />
      ),
      value: ({ created_at }) => created_at
    },
    {
      id: 'actions',
      title: <span className="gol-VisuallyHidden">{trans.__('Actions')}</span>,
      cell: ({ id, title, state }, tabIndex) => (
        <span className="gol-ListTable-actions">
          {state === 'ready' && (
            <ActionButton
              label={trans.__('Compare…')}
              caption={trans.__('Show the difference from another profile')}
              tabIndex={tabIndex}
              onClick={() => actions.compare(id)}
            />
          )}
          <IconButton
            icon={deleteIcon}
            label={trans.__('Delete the profile “%1”', title)}
            tabIndex={tabIndex}
            onClick={() => actions.remove(id)}
          />
        </span>
      )
    }
  ];
}
