import type { TranslationBundle } from '@jupyterlab/translation';
import { closeIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { DataTable, Facts, IconButton } from '../../../core';
import { formatMicroseconds, formatShare } from '../../figures';
import { formatValue } from '../counters';
import type { TimelineModel } from '../model';
import type { IRange } from '../viewport';
import type {
  ICounterMoment,
  ISliceDetails,
  ISums,
  ITimelineSlice
} from '../service';

import { Collective } from './collective';
import { kindWord } from './messages';

/**
 * Details of the selected slice, or sums of the selected period; empty without
 * one.
 */
export function Selected(props: {
  model: TimelineModel;
  trans: TranslationBundle;
}): React.ReactElement | null {
  const { model, trans } = props;
  const { details, range, sums } = model;
  if (!details && !(range && sums)) {
    return null;
  }
  return (
    <section
      className="gol-Timeline-selected"
      aria-label={trans.__('Selection')}
    >
      <div className="gol-Timeline-close">
        <IconButton
          icon={closeIcon}
          label={trans.__('Clear the selection')}
          onClick={() => model.clear()}
        />
      </div>
      {details && <Slice details={details} model={model} trans={trans} />}
      {range && sums && <RangeSums range={range} sums={sums} trans={trans} />}
    </section>
  );
}

function Slice(props: {
  details: ISliceDetails;
  model: TimelineModel;
  trans: TranslationBundle;
}): React.ReactElement {
  const { details, model, trans } = props;
  const { slice, launched_by: launch } = details;
  const launched = details.launched ?? [];
  const backward = details.backward ?? [];
  const launches = details.launches ?? 0;
  const lane = model.laneOf(slice);
  const go = (to: ITimelineSlice) => void model.select(to.slice, true);
  return (
    <>
      <h3>{slice.name}</h3>
      <div className="gol-Timeline-columns">
        <Facts
          className="gol-Timeline-facts"
          facts={[
            [trans.__('Kind'), kindWord(slice.kind, trans)],
            ...counterFacts(details.counter ?? null, trans),
            [trans.__('Duration'), formatMicroseconds(slice.dur_us)],
            [trans.__('Start'), formatMicroseconds(slice.start_us)],
            [trans.__('Lane'), lane ? `${lane.group}, ${lane.label}` : ''],
            lane && (lane.rank ?? null) !== null
              ? [trans.__('Rank'), lane.rank]
              : null,
            ...details.arguments.map(
              ({ name, value }) => [titleOf(name), value] as const
            )
          ]}
        />
        {details.collective && (
          <Collective
            collective={details.collective}
            own={slice.slice}
            onGo={go}
            trans={trans}
          />
        )}
        {launch && (
          <Slices
            title={trans.__('Launched by')}
            slices={[launch, ...[...(details.launch_stack ?? [])].reverse()]}
            onGo={go}
          />
        )}
        {launched.length > 0 && (
          <Slices
            title={trans._n(
              'Launched %1 slice on a device',
              'Launched %1 slices on devices',
              launches
            )}
            slices={launched}
            onGo={go}
          />
        )}
        {details.forward && (
          <Slices
            title={trans.__('Backward pass of')}
            slices={[details.forward]}
            onGo={go}
          />
        )}
        {backward.length > 0 && (
          <Slices
            title={trans._n(
              '%1 slice in the backward pass',
              '%1 slices in the backward pass',
              details.backwards ?? 0
            )}
            slices={backward}
            onGo={go}
          />
        )}
        {details.around.length > 0 && (
          <Slices
            title={trans.__('Inside')}
            slices={[...details.around].reverse()}
            onGo={go}
          />
        )}
      </div>
    </>
  );
}

/** `shared_memory` as `Shared memory`. */
function titleOf(name: string): string {
  const words = name.replace(/_/g, ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function counterFacts(
  counter: ICounterMoment | null,
  trans: TranslationBundle
): [string, string][] {
  if (!counter) {
    return [];
  }
  const { value, least, mean, most, samples, unit } = counter;
  const figures: [string, number | null][] = [
    [trans.__('Value'), value],
    [trans.__('Before'), counter.before ?? null],
    [trans.__('Minimum'), least],
    [trans.__('Mean over time'), mean],
    [trans.__('Maximum'), most]
  ];
  return [
    ...figures.flatMap(([name, each]): [string, string][] =>
      each === null ? [] : [[name, formatValue(each, unit)]]
    ),
    [trans.__('Samples'), samples.toLocaleString()]
  ];
}

function Slices(props: {
  title: string;
  slices: readonly ITimelineSlice[];
  onGo: (slice: ITimelineSlice) => void;
}): React.ReactElement {
  return (
    <div className="gol-Timeline-slices">
      <h4>{props.title}</h4>
      <ul>
        {props.slices.map(slice => (
          <li key={slice.slice}>
            <button
              type="button"
              className="gol-LinkButton"
              title={slice.name}
              onClick={() => props.onGo(slice)}
            >
              {slice.name}
            </button>{' '}
            {formatMicroseconds(slice.dur_us)}
          </li>
        ))}
      </ul>
    </div>
  );
}

function RangeSums(props: {
  range: IRange;
  sums: ISums;
  trans: TranslationBundle;
}): React.ReactElement {
  const { range, sums, trans } = props;
  const total = sums.names.reduce((sum, { total_us }) => sum + total_us, 0);
  return (
    <>
      <h3>
        {trans.__(
          '%1, starting at %2',
          formatMicroseconds((range.last - range.first) / 1000),
          formatMicroseconds(range.first / 1000)
        )}
      </h3>
      <p className="gol-Note">
        {trans.__(
          '%1 slices, busy for %2 summed over lanes. Slices that cross the edges count only inside; times include nested slices.',
          sums.slices.toLocaleString(),
          formatMicroseconds(sums.busy_us)
        )}
      </p>
      <DataTable
        caption={trans.__('Slices by name')}
        className="gol-Timeline-sums"
        rows={sums.names}
        rowKey={({ name }) => name}
        columns={[
          {
            id: 'name',
            title: trans.__('Name'),
            cell: ({ name }) => name,
            tip: ({ name }) => name
          },
          {
            id: 'kind',
            title: trans.__('Kind'),
            cell: ({ kind }) => kindWord(kind, trans)
          },
          {
            id: 'count',
            title: trans.__('Count'),
            cell: ({ count }) => count.toLocaleString()
          },
          {
            id: 'time',
            title: trans.__('Time'),
            cell: ({ total_us }) => formatMicroseconds(total_us)
          },
          {
            id: 'share',
            title: trans.__('Share'),
            cell: ({ total_us }) => formatShare(total_us, total)
          }
        ]}
      />
      {(sums.more_names ?? 0) > 0 && (
        <p className="gol-Note">
          {trans._n('%1 more name', '%1 more names', sums.more_names ?? 0)}
        </p>
      )}
    </>
  );
}
