import type { TranslationBundle } from '@jupyterlab/translation';
import { deleteIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { Tone } from '../../core';
import { ActionButton, IconButton, StatusBadge } from '../../core';
import { formatNumber } from '../../core/format';
import { Progress } from '../../core/ui/progress';
import type { ISweep } from '../service';

/** The actions on a sweep. */
export interface ISweepActions {
  open: (id: string) => void;
  openRuns: (id: string) => void;
  openRun: (runId: string) => void;
  stop: (id: string) => void;
  resume: (id: string) => void;
  /** Delete an ended sweep, after a question. */
  remove: (sweep: ISweep) => void;
  /** Insert a cell that starts a sweep. */
  insert: () => void;
}

interface IProps {
  sweep: ISweep;
  trans: TranslationBundle;
}

/** The state of a sweep by tone and label. */
export function stateOf(
  { state, attended }: ISweep,
  trans: TranslationBundle
): [Tone, string] {
  const states: Record<ISweep['state'], [Tone, string]> = {
    running: ['busy', trans.__('Running')],
    stopping: ['busy', trans.__('Stopping')],
    done: ['ok', trans.__('Done')],
    stopped: ['stopped', trans.__('Stopped')],
    failed: ['error', trans.__('Failed')]
  };
  return attended ? states[state] : ['idle', trans.__('Waiting')];
}

export function SweepState({ sweep, trans }: IProps): React.ReactElement {
  const [tone, label] = stateOf(sweep, trans);
  return <StatusBadge tone={tone} label={label} caption={sweep.message} />;
}

/** The number of trials that have ended. */
export function endedOf({ counts }: Pick<ISweep, 'counts'>): number {
  return ['finished', 'failed', 'pruned', 'stopped'].reduce(
    (sum, state) => sum + (counts[state] ?? 0),
    0
  );
}

export function SweepProgress({ sweep, trans }: IProps): React.ReactElement {
  const ended = endedOf(sweep);
  return (
    <Progress
      label={trans.__('Trials of %1 that have ended', sweep.name)}
      done={ended}
      of={sweep.planned}
      text={trans.__('%1 of %2', ended, sweep.planned)}
    />
  );
}

/** "loss 0.0123 in trial 4"; empty without a best trial. */
export function bestOf(sweep: ISweep, trans: TranslationBundle): string {
  return sweep.best_value === null
    ? ''
    : trans.__(
        '%1 %2 in trial %3',
        sweep.metric,
        formatNumber(sweep.best_value),
        sweep.best
      );
}

/** The buttons that stop, resume and delete a sweep, as its state allows. */
export function SweepButtons(
  props: IProps & { actions: ISweepActions; tabIndex?: 0 | -1 }
): React.ReactElement {
  const { sweep, actions, trans, tabIndex } = props;
  const { id, state, attended } = sweep;
  return (
    <>
      {state === 'running' && (
        <ActionButton
          label={trans.__('Stop')}
          caption={trans.__('Interrupt the running trials and start no more')}
          tabIndex={tabIndex}
          onClick={() => actions.stop(id)}
        />
      )}
      {(state === 'stopped' || state === 'failed' || !attended) && (
        <ActionButton
          label={trans.__('Resume')}
          caption={trans.__('Run the remaining trials')}
          tabIndex={tabIndex}
          onClick={() => actions.resume(id)}
        />
      )}
      <ActionButton
        label={trans.__('Show runs')}
        caption={trans.__('Show the runs of this sweep in the run table')}
        tabIndex={tabIndex}
        onClick={() => actions.openRuns(id)}
      />
      {sweep.ended_at !== null && (
        <IconButton
          icon={deleteIcon}
          label={trans.__('Delete the sweep “%1”; its runs stay', sweep.name)}
          tabIndex={tabIndex}
          onClick={() => actions.remove(sweep)}
        />
      )}
    </>
  );
}
