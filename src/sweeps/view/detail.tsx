import { PathExt } from '@jupyterlab/coreutils';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { Resource, Tone } from '../../core';
import {
  ActionButton,
  Callout,
  Chart,
  DataTable,
  Elapsed,
  EmptyState,
  Facts,
  RelativeTime,
  ResourceView,
  ShortId,
  StatusBadge
} from '../../core';
import type { ILine } from '../../core/charts/line-chart';
import { formatNumber } from '../../core/format';
import { ListTable } from '../../core/ui/list-table';
import { PageHead } from '../../core/ui/page';
import type { ISweep, ITrial } from '../service';

import type { ISweepActions } from './actions';
import { SweepButtons, SweepProgress, SweepState, bestOf } from './actions';

/** The page of a sweep: its progress, the objective by trial, and its trials. */
export function SweepDetail(props: {
  sweep: Resource<ISweep>;
  actions: ISweepActions;
  trans: TranslationBundle;
}): React.ReactElement {
  const { sweep, actions, trans } = props;
  return (
    <ResourceView
      resource={sweep}
      trans={trans}
      down={trans.__('This sweep cannot be read.')}
      empty={null}
      keepMounted
    >
      {value => <Detail sweep={value} actions={actions} trans={trans} />}
    </ResourceView>
  );
}

interface IProps {
  sweep: ISweep;
  actions: ISweepActions;
  trans: TranslationBundle;
}

function Detail({ sweep, actions, trans }: IProps): React.ReactElement {
  const { message, hint, state, metric, trials, summary = [] } = sweep;
  const columns = React.useMemo(
    () => trialColumns(sweep, actions, trans),
    [sweep, actions, trans]
  );
  return (
    <>
      <PageHead
        title={sweep.name}
        actions={<SweepButtons {...{ sweep, actions, trans }} />}
      >
        <SweepState sweep={sweep} trans={trans} />
        <SweepProgress sweep={sweep} trans={trans} />
      </PageHead>
      {message && (
        <Callout tone={state === 'failed' ? 'error' : 'info'} title={message}>
          {hint}
        </Callout>
      )}
      <SweepFacts sweep={sweep} trans={trans} />
      {summary.length > 0 && <Repeats sweep={sweep} trans={trans} />}
      {metric && <Objective sweep={sweep} trans={trans} />}
      <h3>{trans.__('Trials')}</h3>
      {trials.length === 0 ? (
        <EmptyState text={trans.__('No trial has started yet.')} />
      ) : (
        <ListTable
          caption={trans.__('Trials')}
          columns={columns}
          rows={trials}
          rowKey={({ number }) => String(number)}
          rowClass={({ number }) =>
            number === sweep.best ? 'gol-mod-best' : undefined
          }
          onOpen={({ run_id }) => run_id && actions.openRun(run_id)}
          sort={{ column: 'number', descending: false }}
          count={count => trans._n('%1 trial', '%1 trials', count)}
          trans={trans}
        />
      )}
    </>
  );
}

function SweepFacts({
  sweep,
  trans
}: Omit<IProps, 'actions'>): React.ReactElement {
  const { failed = 0, pruned = 0, stopped = 0 } = sweep.counts ?? {};
  const others = [
    failed > 0 && trans._n('%1 failed', '%1 failed', failed),
    pruned > 0 && trans._n('%1 pruned', '%1 pruned', pruned),
    stopped > 0 && trans._n('%1 stopped', '%1 stopped', stopped)
  ].filter(Boolean);
  const { metric, notebook = '', ended_at, created_at = 0 } = sweep;
  return (
    <Facts
      className="gol-Facts gol-Page-facts"
      facts={[
        [trans.__('Best'), bestOf(sweep, trans) || '–'],
        metric
          ? [
              trans.__('Objective'),
              sweep.direction === 'maximize'
                ? trans.__('Maximize %1', metric)
                : trans.__('Minimize %1', metric)
            ]
          : null,
        others.length > 0
          ? [trans.__('Not finished'), others.join(', ')]
          : null,
        [trans.__('Method'), sweep.method],
        sweep.prune ? [trans.__('Pruning'), sweep.prune] : null,
        [trans.__('Kernels'), sweep.on.join(', ')],
        [trans.__('At once on each'), String(sweep.parallel)],
        sweep.experiment ? [trans.__('Experiment'), sweep.experiment] : null,
        notebook
          ? [
              trans.__('Notebook'),
              <span key="notebook" title={notebook}>
                {PathExt.basename(notebook)}
              </span>
            ]
          : null,
        [
          trans.__('Started'),
          <RelativeTime key="started" seconds={created_at} trans={trans} />
        ],
        [
          trans.__('Duration'),
          <Elapsed key="took" since={created_at} until={ended_at ?? null} />
        ],
        [
          trans.__('Id'),
          <ShortId
            key="id"
            id={sweep.id}
            label={trans.__('Copy the id of the sweep')}
            trans={trans}
          />
        ]
      ]}
    />
  );
}

function Objective(props: {
  sweep: ISweep;
  trans: TranslationBundle;
}): React.ReactElement | null {
  const { sweep, trans } = props;
  const lines = React.useMemo(() => objectiveLines(sweep, trans), [sweep]);
  if (lines[0].x.length < 2) {
    return null;
  }
  return (
    <>
      <h3>{trans.__('%1 by trial', sweep.metric)}</h3>
      <Chart
        label={trans.__('%1 by trial', sweep.metric)}
        height={180}
        x="count"
        lines={lines}
      />
    </>
  );
}

/** The objective of the finished trials, and the best value so far. */
export function objectiveLines(
  sweep: Pick<ISweep, 'trials' | 'direction' | 'metric'>,
  trans: TranslationBundle
): ILine[] {
  const known = sweep.trials.flatMap(({ number, state, value }) =>
    state === 'finished' && typeof value === 'number' ? [{ number, value }] : []
  );
  const better = sweep.direction === 'maximize' ? Math.max : Math.min;
  const best: number[] = [];
  for (const { value } of known) {
    best.push(better(value, best[best.length - 1] ?? value));
  }
  const x = known.map(({ number }) => number);
  return [
    { label: sweep.metric, x, y: known.map(({ value }) => value), dots: true },
    { label: trans.__('Best so far'), x, y: best }
  ];
}

/** The metrics of repeats: mean and interval. */
function Repeats(props: {
  sweep: ISweep;
  trans: TranslationBundle;
}): React.ReactElement {
  const { sweep, trans } = props;
  const number = (value: number | null | undefined) =>
    typeof value === 'number' ? formatNumber(value) : '–';
  return (
    <>
      <h3>{trans.__('Metrics of the repeats')}</h3>
      <DataTable
        caption={trans.__('Metrics of the repeats')}
        rows={sweep.summary ?? []}
        rowKey={({ metric }) => metric}
        columns={[
          {
            id: 'metric',
            title: trans.__('Metric'),
            isHead: true,
            cell: ({ metric }) => metric
          },
          {
            id: 'n',
            title: trans.__('Repeats'),
            numeric: true,
            cell: ({ n }) => n
          },
          {
            id: 'mean',
            title: trans.__('Mean'),
            numeric: true,
            cell: ({ mean }) => number(mean)
          },
          {
            id: 'interval',
            title: trans.__('95 % interval'),
            numeric: true,
            cell: ({ low, high }) =>
              low === null || high === null
                ? trans.__('no interval')
                : trans.__('%1 to %2', number(low), number(high))
          }
        ]}
      />
    </>
  );
}

function trialColumns(
  sweep: ISweep,
  actions: ISweepActions,
  trans: TranslationBundle
): DataTable.IColumn<ITrial>[] {
  const states: Record<ITrial['state'], [Tone, string]> = {
    waiting: ['idle', trans.__('Waiting')],
    starting: ['busy', trans.__('Starting')],
    running: ['busy', trans.__('Running')],
    finished: ['ok', trans.__('Finished')],
    failed: ['error', trans.__('Failed')],
    pruned: ['stopped', trans.__('Pruned')],
    stopped: ['stopped', trans.__('Stopped')]
  };
  const names = [
    ...new Set(sweep.trials.flatMap(({ params }) => Object.keys(params)))
  ];
  const isNumeric = (name: string) =>
    sweep.trials.every(({ params }) => typeof params[name] !== 'string');
  return [
    {
      id: 'number',
      title: trans.__('Trial'),
      isHead: true,
      cell: ({ number }) =>
        number === sweep.best ? trans.__('%1 (best)', number) : number,
      value: ({ number }) => number
    },
    {
      id: 'state',
      title: trans.__('State'),
      cell: ({ state, message }) => (
        <StatusBadge
          tone={states[state][0]}
          label={states[state][1]}
          caption={message}
        />
      ),
      value: ({ state }) => states[state][1]
    },
    ...names.map((name): DataTable.IColumn<ITrial> => ({
      id: `param ${name}`,
      title: name,
      numeric: isNumeric(name),
      cell: ({ params }) => valueText(params[name]),
      tip: ({ params }) => valueText(params[name]),
      value: ({ params }) => comparable(params[name])
    })),
    ...(sweep.metric
      ? [
          {
            id: 'value',
            title: sweep.metric,
            numeric: true,
            cell: ({ value }: ITrial) => valueText(value),
            value: ({ value }: ITrial) => value ?? null
          }
        ]
      : []),
    {
      id: 'took',
      title: trans.__('Duration'),
      numeric: true,
      cell: ({ started_at, ended_at, state }) =>
        started_at && (ended_at || state === 'running') ? (
          <Elapsed since={started_at} until={ended_at ?? null} brief />
        ) : (
          '–'
        ),
      value: ({ started_at, ended_at }) =>
        started_at ? (ended_at ?? Date.now() / 1000) - started_at : null
    },
    {
      id: 'kernel',
      title: trans.__('Kernel'),
      cell: ({ kernel_name }) => kernel_name || '–',
      value: ({ kernel_name }) => kernel_name || null
    },
    {
      id: 'message',
      title: trans.__('Message'),
      cell: ({ message }) => message,
      tip: ({ message }) => message ?? '',
      value: ({ message }) => message || null
    },
    {
      id: 'actions',
      title: <span className="gol-VisuallyHidden">{trans.__('Actions')}</span>,
      cell: ({ number, run_id }, tabIndex) =>
        run_id && (
          <span className="gol-ListTable-actions">
            <ActionButton
              label={trans.__('Show run')}
              caption={trans.__('Show the run of trial %1', number)}
              tabIndex={tabIndex}
              onClick={() => actions.openRun(run_id)}
            />
          </span>
        )
    }
  ];
}

function valueText(value: unknown): string {
  return typeof value === 'number' ? formatNumber(value) : String(value ?? '–');
}

function comparable(value: unknown): string | number | null {
  return typeof value === 'number' || typeof value === 'string'
    ? value
    : value === undefined || value === null
      ? null
      : String(value);
}
