import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { Callout } from '../../../core';
import { cpuParts } from '../../model';
import type { IAdvice, IProfileSummary } from '../../service';
import { Bars } from '../bars';
import { MeasuredFigures, MeasuredTime } from '../nsight-compute/overview';
import type { IBar } from '../parts';
import { deviceBars, stepBars } from '../parts';
import type { IPlaces } from '../places';

import { AdviceList } from './advice';
import { KeyFigures } from './key-figures';
import { Ranks } from './ranks';
import { RooflineChart } from './roofline';
import { placedWorks } from './roofline-picture';

/** Most steps that are drawn; the table of steps has all. */
const MOST_STEPS = 40;

/** Where the time was spent, and what to change. */
export function Overview(props: Overview.IProps): React.ReactElement {
  const { summary, trans } = props;
  const { measured } = summary;
  const devices = React.useMemo(
    () => deviceBars(summary, trans),
    [summary, trans]
  );
  const host = React.useMemo(
    () => [
      {
        label: trans.__('CPU'),
        parts: cpuParts(summary.cpu, trans).map(part => ({
          ...part,
          id: part.id === 'busy' ? 'host' : part.id
        }))
      }
    ],
    [summary, trans]
  );
  return (
    <div className="gol-Overview">
      {summary.damaged && (
        <Callout
          tone="warning"
          title={trans.__('The trace could not be read completely.')}
        >
          {summary.damaged}
        </Callout>
      )}
      {measured ? (
        <MeasuredFigures
          measured={measured}
          devices={summary.devices}
          trans={trans}
        />
      ) : (
        <KeyFigures summary={summary} trans={trans} />
      )}
      <div className="gol-Overview-columns">
        <Part title={trans.__('Where the time was spent')}>
          {measured ? (
            <MeasuredTime
              measured={measured}
              ranks={summary.ranks}
              trans={trans}
            />
          ) : (
            <TracedTime devices={devices} host={host} trans={trans} />
          )}
        </Part>
        <Part title={trans.__('Advice')}>
          <AdviceList {...props} />
        </Part>
        <div className="gol-Overview-rest">
          {!measured && summary.ranks.length > 1 && devices.length > 0 && (
            <Part title={trans.__('Comparison of ranks')}>
              <Ranks summary={summary} onRank={props.onRank} trans={trans} />
            </Part>
          )}
          {summary.roofline && placedWorks(summary.roofline).length > 0 && (
            <Part title={trans.__('Roofline')}>
              <RooflineChart roofline={summary.roofline} trans={trans} />
            </Part>
          )}
          {!measured && <Steps summary={summary} trans={trans} />}
        </div>
      </div>
      {!measured && (
        <p className="gol-Profile-quiet">
          {trans._n(
            '%2 event',
            '%2 events',
            summary.events,
            summary.events.toLocaleString()
          )}
        </p>
      )}
    </div>
  );
}

export namespace Overview {
  export interface IProps {
    summary: IProfileSummary;
    places: IPlaces;
    /** The profile's notebook; empty without one. */
    notebook: string;
    /** Show the moments of an advice in the timeline; null if there is none. */
    onMoments: ((advice: IAdvice) => void) | null;
    /** Show a rank's timeline; null: that of all ranks. */
    onRank: (rank: number | null) => void;
    trans: TranslationBundle;
  }
}

function Part(props: {
  title: string;
  children: React.ReactNode;
}): React.ReactElement {
  const id = React.useId();
  return (
    <section className="gol-Profile-part" aria-labelledby={id}>
      <h3 id={id}>{props.title}</h3>
      {props.children}
    </section>
  );
}

/** Time of the devices and of the host in a trace. */
function TracedTime(props: {
  devices: readonly IBar[];
  host: readonly IBar[];
  trans: TranslationBundle;
}): React.ReactElement {
  const { devices, host, trans } = props;
  return (
    <>
      {devices.length > 0 ? (
        <Bars
          title={trans.__('Time of the devices')}
          first={trans.__('Device')}
          bars={devices}
          trans={trans}
        />
      ) : (
        <p className="gol-Profile-quiet">
          {trans.__('The trace has no GPU events.')}
        </p>
      )}
      <Bars
        title={trans.__('Time of the host')}
        first={trans.__('Host')}
        bars={host}
        trans={trans}
      />
    </>
  );
}

function Steps(
  props: Pick<Overview.IProps, 'summary' | 'trans'>
): React.ReactElement {
  const { summary, trans } = props;
  const { devices } = summary;
  const steps = React.useMemo(() => stepBars(summary, trans), [summary, trans]);
  const shown = React.useMemo(() => steps.slice(0, MOST_STEPS), [steps]);
  return (
    <Part title={trans.__('Steps')}>
      {steps.length > 0 ? (
        <>
          <Bars
            title={
              devices.length > 0
                ? trans.__('Device time of the steps')
                : trans.__('Length of the steps')
            }
            first={trans.__('Step')}
            bars={shown}
            trans={trans}
          />
          {steps.some(({ faint }) => faint) && (
            <p className="gol-Profile-quiet">
              {trans.__(
                'Faint steps are warm-up and do not count in the step time.'
              )}
            </p>
          )}
          {steps.length > shown.length && (
            <p className="gol-Profile-quiet">
              {trans.__(
                'The first %1 of %2 steps are shown.',
                shown.length,
                steps.length
              )}
            </p>
          )}
        </>
      ) : (
        <p className="gol-Profile-quiet">
          {trans.__('The trace marks no steps.')}
        </p>
      )}
    </Part>
  );
}
