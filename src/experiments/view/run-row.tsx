import type { TranslationBundle } from '@jupyterlab/translation';
import { caretRightIcon, circleIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { Elapsed, RelativeTime, StatusBadge } from '../../core';
import { groupOf } from '../../core/metric-names';
import { DIVERGED } from '../diverged';
import { chooseMetrics } from '../metric-choice';
import type { ExperimentsModel } from '../model';
import { isRunning } from '../model';
import type { IRun } from '../service';

import type { IRunActions } from './actions';
import { Curves } from './curves';
import { RunDetail } from './run-detail';
import { Stalled } from './stalled';
import { metricText, runName, statusWord } from './messages';

/** A run in the list: two lines, and its detail below them while it is open. */
export const RunRow = React.memo(function RunRow(
  props: RunRow.IProps
): React.ReactElement {
  const { run, metrics, opened, model, trans } = props;
  const id = `gol-run-${run.run_id}`;
  const running = isRunning(run);
  const { tone, label } = statusWord(run.status, trans);
  const shared = metrics.filter(key => key in run.metrics);
  // A run without the list's metrics shows its own.
  const figures = shared.length > 0 ? shared : chooseMetrics([run]);
  const diverged = run.tags[DIVERGED];
  const own = Object.entries(run.metrics).filter(
    ([key]) => !key.startsWith('system/')
  );
  return (
    <li
      className={[
        'gol-Run',
        opened ? 'gol-mod-open' : '',
        running ? 'gol-mod-running' : ''
      ].join(' ')}
    >
      <button
        type="button"
        className="gol-Run-head"
        aria-expanded={opened}
        aria-controls={opened ? id : undefined}
        tabIndex={props.tabStop ? 0 : -1}
        data-run={run.run_id}
        onClick={() => model.open(opened ? null : run.run_id)}
      >
        <caretRightIcon.react tag="span" className="gol-Icon gol-Run-caret" />
        <span className="gol-Run-name" title={runName(run)}>
          {runName(run)}
        </span>
        {typeof run.started_at === 'number' && (
          <span className="gol-Run-age">
            <RelativeTime seconds={run.started_at} trans={trans} />
          </span>
        )}
        <span className="gol-Run-line">
          <StatusBadge
            tone={tone}
            caption={label}
            icon={running ? circleIcon : undefined}
            label={
              // The usual case needs no word beside its tick.
              run.status === 'FINISHED' ? (
                <span className="gol-VisuallyHidden">{label}</span>
              ) : (
                label
              )
            }
          />
          {typeof run.started_at === 'number' &&
            (running || typeof run.ended_at === 'number') && (
              <Elapsed
                since={run.started_at}
                until={running ? null : run.ended_at}
                brief={!running}
              />
            )}
          {diverged && (
            <span className="gol-Run-diverged" title={diverged}>
              {diverged}
            </span>
          )}
          {running && own.length > 0 && (
            <Stalled
              runId={run.run_id}
              logged={JSON.stringify(own)}
              source={model}
              trans={trans}
            />
          )}
          {figures.map(key => (
            <span key={key} className="gol-Run-metric" title={key}>
              <span className="gol-Run-metricName">{groupOf(key)}</span>{' '}
              <span>{metricText(run.metrics[key])}</span>
            </span>
          ))}
        </span>
      </button>
      {props.charted && !opened && (
        <div className="gol-Run-live">
          <Curves run={run} model={model} trans={trans} most={2} />
        </div>
      )}
      {opened && (
        <div
          className="gol-Run-detail"
          id={id}
          role="region"
          aria-label={trans.__('Run %1', runName(run))}
        >
          <RunDetail
            run={run}
            model={model}
            trans={trans}
            actions={props.actions}
          />
        </div>
      )}
    </li>
  );
});

export namespace RunRow {
  export interface IProps {
    run: IRun;
    /** The metrics that the list shows. */
    metrics: readonly string[];
    opened: boolean;
    /** Draw its curves while it is closed. */
    charted: boolean;
    /** Whether Tab stops here; the arrow keys reach the others. */
    tabStop: boolean;
    model: ExperimentsModel;
    actions: IRunActions;
    trans: TranslationBundle;
  }
}
