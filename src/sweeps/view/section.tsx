import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { PagedResource, Tone } from '../../core';
import {
  ActionButton,
  Disclosure,
  EmptyState,
  Facts,
  RelativeTime,
  ResourceView,
  ShowMore,
  StatusBadge
} from '../../core';
import { formatNumber } from '../../core/format';

import type { ISweep } from '../service';

const ENDED = ['finished', 'failed', 'pruned', 'stopped'];

/** The actions on a sweep. */
export interface ISweepActions {
  openRuns: (sweep: ISweep) => void;
  stop: (sweep: ISweep) => void;
  resume: (sweep: ISweep) => void;
  /** Delete an ended sweep, after a question. */
  remove: (sweep: ISweep) => void;
}

/** The section "Sweeps": newest first, each with its progress. */
export function SweepsSection(props: {
  list: PagedResource<ISweep>;
  actions: ISweepActions;
  trans: TranslationBundle;
}): React.ReactElement {
  const { list, actions, trans } = props;
  return (
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
        <>
          <ul className="gol-List" aria-label={trans.__('Sweeps')}>
            {sweeps.map(sweep => (
              <li key={sweep.id}>
                <Disclosure
                  title={sweep.name}
                  tip={`${sweep.name} (${sweep.id})`}
                  meta={<SweepMeta sweep={sweep} trans={trans} />}
                >
                  <SweepDetail sweep={sweep} actions={actions} trans={trans} />
                </Disclosure>
              </li>
            ))}
          </ul>
          <ShowMore list={list} trans={trans} />
        </>
      )}
    </ResourceView>
  );
}

function SweepMeta(props: {
  sweep: ISweep;
  trans: TranslationBundle;
}): React.ReactElement {
  const { sweep, trans } = props;
  const states: Record<ISweep['state'], [Tone, string]> = {
    running: ['busy', progressOf(sweep, trans)],
    stopping: ['busy', trans.__('Stopping')],
    done: ['ok', trans.__('Done')],
    stopped: ['stopped', trans.__('Stopped')],
    failed: ['error', trans.__('Failed')]
  };
  const [tone, label] = sweep.attended
    ? states[sweep.state]
    : (['idle', trans.__('Waiting')] as const);
  return (
    <>
      <StatusBadge tone={tone} label={label} caption={sweep.message} />
      <RelativeTime seconds={sweep.created_at} trans={trans} />
    </>
  );
}

function SweepDetail(props: {
  sweep: ISweep;
  actions: ISweepActions;
  trans: TranslationBundle;
}): React.ReactElement {
  const { sweep, actions, trans } = props;
  const best =
    sweep.best_value === null
      ? ''
      : trans.__(
          '%1 %2 in trial %3',
          sweep.metric,
          formatNumber(sweep.best_value),
          sweep.best
        );
  const { failed = 0, pruned = 0, stopped = 0 } = sweep.counts;
  const others = [
    failed > 0 && trans._n('%1 failed', '%1 failed', failed),
    pruned > 0 && trans._n('%1 pruned', '%1 pruned', pruned),
    stopped > 0 && trans._n('%1 stopped', '%1 stopped', stopped)
  ].filter(Boolean);
  return (
    <>
      <Facts
        facts={[
          [trans.__('Trials'), progressOf(sweep, trans)],
          others.length > 0
            ? [trans.__('Not finished'), others.join(', ')]
            : null,
          best ? [trans.__('Best'), best] : null,
          [trans.__('Method'), sweep.method],
          [trans.__('Kernels'), sweep.on.join(', ')],
          sweep.message
            ? [trans.__('Message'), `${sweep.message} ${sweep.hint}`.trim()]
            : null
        ]}
      />
      <div className="gol-EmptyState-actions">
        <ActionButton
          label={trans.__('Show runs')}
          caption={trans.__('Show the runs of this sweep in the run table')}
          onClick={() => actions.openRuns(sweep)}
        />
        {sweep.state === 'running' && (
          <ActionButton
            label={trans.__('Stop')}
            caption={trans.__('Interrupt the running trials and start no more')}
            onClick={() => actions.stop(sweep)}
          />
        )}
        {(sweep.state === 'stopped' ||
          sweep.state === 'failed' ||
          !sweep.attended) && (
          <ActionButton
            label={trans.__('Resume')}
            caption={trans.__('Run the remaining trials')}
            onClick={() => actions.resume(sweep)}
          />
        )}
        {sweep.ended_at !== null && (
          <ActionButton
            label={trans.__('Delete…')}
            caption={trans.__('Delete this sweep; its runs stay')}
            onClick={() => actions.remove(sweep)}
          />
        )}
      </div>
    </>
  );
}

function progressOf(sweep: ISweep, trans: TranslationBundle): string {
  const ended = ENDED.reduce(
    (sum, state) => sum + (sweep.counts[state] ?? 0),
    0
  );
  return trans.__('%1 of %2', ended, sweep.planned);
}
