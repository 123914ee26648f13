/** The columns of measured kernels. */
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { formatNumber } from '../../../core/format';
import { formatShare } from '../../figures';
import type { IMeasuredKernel, IMeasurement } from '../../service';
import { deviceName } from '../parts';
import { PlaceLink } from '../place-link';
import type { IPlaces } from '../places';
import { placeWords, shortPlaceWords } from '../places';
import { count, time } from '../tables/columns';
import type { IColumn } from '../tables/rows';

import type { Bound } from './sums';
import { bestOf, changesOf } from './sums';
import { boundMark, boundWord, percent } from './messages';

type Column = IColumn<IMeasuredKernel>;

export interface IColumnOptions {
  readonly measured: IMeasurement;
  readonly ranks: readonly number[];
  readonly places: IPlaces;
  readonly notebook: string;
  readonly trans: TranslationBundle;
}

export function measuredColumns(options: IColumnOptions): Column[] {
  const { measured, places, notebook, trans } = options;
  const { kernels, total_us } = measured;
  const columns: (Column | null)[] = [
    {
      id: 'name',
      title: trans.__('GPU kernel'),
      width: 230,
      value: ({ name }) => name
    },
    kernels.some(({ place }) => place)
      ? {
          id: 'line',
          title: trans.__('Line'),
          tip: trans.__('The line that launched it'),
          width: 180,
          value: ({ place }) =>
            place
              ? `${placeWords(place, trans)} ${place.text.trim()}`.trim()
              : null,
          draw: ({ place }, tabIndex) =>
            place && (
              <PlaceLink
                place={place}
                places={places}
                notebook={notebook}
                tabIndex={tabIndex}
                trans={trans}
              >
                {shortPlaceWords(place, trans)}
              </PlaceLink>
            )
        }
      : null,
    {
      ...time<IMeasuredKernel>(
        'total_us',
        trans.__('Time'),
        trans.__('Total time of all launches'),
        true
      ),
      width: 90
    },
    {
      id: 'share',
      title: trans.__('Share'),
      tip: trans.__('Share of the time of all measured GPU kernels'),
      width: 70,
      value: each => (total_us > 0 ? each.total_us / total_us : null),
      words: value => formatShare(value, 1)
    },
    {
      id: 'bound',
      title: trans.__('Bound by'),
      width: 105,
      value: ({ bound }) => (bound ? boundWord(bound, trans) : null),
      draw: ({ bound }) => <BoundMark bound={bound} trans={trans} />
    },
    part(
      'compute_pct',
      trans.__('Compute'),
      trans.__('Use of the arithmetic units, in percent of the peak')
    ),
    part(
      'memory_pct',
      trans.__('Memory'),
      trans.__(
        'Use of the busiest part of memory and caches, in percent of the peak'
      )
    ),
    {
      ...part(
        'occupancy_pct',
        trans.__('Occupancy'),
        trans.__(
          'Achieved and theoretical occupancy: active warps, in percent of the maximum'
        )
      ),
      width: 104,
      words: (value, { theoretical_occupancy_pct: most }) =>
        most === null
          ? percent(value)
          : trans.__('%1 of %2', value.toFixed(0), percent(most))
    },
    {
      id: 'gain',
      title: trans.__('Est. speedup'),
      tip: trans.__(
        'Part of the GPU kernel’s time that the best change saves, as Nsight Compute estimates it'
      ),
      width: 104,
      value: kernel => bestOf(kernel)?.speedup_pct ?? null,
      words: percent
    },
    {
      id: 'rule',
      title: trans.__('First change'),
      width: 240,
      value: kernel => changesOf(kernel)[0]?.title || null
    },
    { ...count<IMeasuredKernel>('count', trans.__('Launches')), width: 100 },
    figure(
      'waves',
      trans.__('Waves'),
      trans.__('Waves of blocks per launch'),
      70
    ),
    figure(
      'registers',
      trans.__('Registers'),
      trans.__('Registers per thread'),
      102
    ),
    {
      id: 'grid',
      title: trans.__('Grid'),
      width: 110,
      value: ({ grid }) => grid || null
    },
    {
      id: 'block',
      title: trans.__('Block'),
      width: 100,
      value: ({ block }) => block || null
    },
    new Set(kernels.map(({ rank, device }) => `${rank} ${device}`)).size > 1
      ? {
          id: 'device',
          title: trans.__('Device'),
          width: 130,
          value: kernel => deviceName(kernel, options.ranks, trans)
        }
      : null
  ];
  return columns.filter(column => column !== null);
}

/** The limit of a kernel: a shape and a word. */
export function BoundMark(props: {
  bound: Bound;
  trans: TranslationBundle;
}): React.ReactElement {
  const { bound, trans } = props;
  return (
    <span className={`gol-Bound gol-mod-${bound || 'unknown'}`}>
      <span aria-hidden="true">{boundMark(bound)}</span>
      {boundWord(bound, trans)}
    </span>
  );
}

type Figure = {
  [K in keyof IMeasuredKernel]-?: IMeasuredKernel[K] extends number | null
    ? K
    : never;
}[keyof IMeasuredKernel];

/** A column in percent, with a bar up to 100. */
function part(id: Figure, title: string, tip: string): Column {
  return {
    id,
    title,
    tip,
    width: 88,
    value: row => row[id],
    words: percent,
    bar: true,
    whole: 100
  };
}

function figure(id: Figure, title: string, tip: string, width: number): Column {
  return {
    id,
    title,
    tip,
    width,
    value: row => row[id],
    words: formatNumber
  };
}
