import type { TranslationBundle } from '@jupyterlab/translation';
import { circleIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import {
  ActionButton,
  Elapsed,
  Facts,
  StatusBadge,
  useResource,
  useRevision
} from '../../core';
import { groupOf } from '../../core/metric-names';
import type { ICurrentNotebook } from '../../panel/notebook/tokens';
import type { ISection } from '../../panel/tokens';

import { chooseMetrics } from '../metric-choice';
import { isRunning } from '../model';
import { NotebookRun } from '../notebook-run';
import type { IRun } from '../service';

import { metricText, runName, statusWord } from './messages';

/** The latest run of the notebook in front. */
export function LatestRun(props: LatestRun.IProps): React.ReactElement | null {
  const { current, section, options } = props;
  useRevision(current.changed);
  const { path } = current;
  const run = React.useMemo(
    () => new NotebookRun(path, options),
    [path, options]
  );
  React.useEffect(() => {
    const driven = section.drive(run.latest);
    return () => {
      driven.dispose();
      run.dispose();
    };
  }, [run, section]);
  return <Latest {...props} run={run} />;
}

export namespace LatestRun {
  export interface IProps {
    current: ICurrentNotebook;
    section: ISection;
    options: NotebookRun.IOptions;
    trans: TranslationBundle;
    onOpen: (runId: string) => void;
    /** Insert a cell that is tracked as a run. */
    onTrack: () => void;
  }
}

function Latest(
  props: LatestRun.IProps & { run: NotebookRun }
): React.ReactElement | null {
  const { trans, onOpen, onTrack } = props;
  const { state, value, error } = useResource(props.run.latest);
  if (value) {
    return (
      <Facts
        facts={[
          [
            trans.__('Run'),
            <Found key="run" run={value} trans={trans} onOpen={onOpen} />
          ],
          ...chooseMetrics([value]).map(
            key => [groupOf(key), metricText(value.metrics[key])] as const
          )
        ]}
      />
    );
  }
  if (state === 'loading') {
    return null;
  }
  return (
    <>
      <Facts
        facts={[
          [
            trans.__('Run'),
            <span
              key="run"
              className="gol-Note"
              title={error ? `${error.message} ${error.hint}` : undefined}
            >
              {state === 'down'
                ? trans.__('The runs cannot be read.')
                : trans.__('No run yet')}
            </span>
          ]
        ]}
      />
      {state === 'empty' && (
        <div className="gol-Actions">
          <ActionButton
            label={trans.__('Track a cell')}
            caption={trans.__('Insert a starter cell that is tracked as a run')}
            onClick={onTrack}
          />
        </div>
      )}
    </>
  );
}

function Found(props: {
  run: IRun;
  trans: TranslationBundle;
  onOpen: (runId: string) => void;
}): React.ReactElement {
  const { run, trans, onOpen } = props;
  const { tone, label } = statusWord(run.status, trans);
  const running = isRunning(run);
  return (
    <span className="gol-ThisNotebook-value">
      <button
        type="button"
        className="gol-LinkButton gol-ThisNotebook-cut"
        title={trans.__('Open the run %1 in the run table', runName(run))}
        onClick={() => onOpen(run.run_id)}
      >
        {runName(run)}
      </button>
      <StatusBadge
        tone={tone}
        caption={label}
        label={
          // The norm needs no word beside its tick.
          run.status === 'FINISHED' ? (
            <span className="gol-VisuallyHidden">{label}</span>
          ) : (
            label
          )
        }
        icon={running ? circleIcon : undefined}
      />
      {running && typeof run.started_at === 'number' && (
        <span className="gol-Note">
          <Elapsed since={run.started_at} until={null} />
        </span>
      )}
    </span>
  );
}
