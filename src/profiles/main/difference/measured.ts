/** Kernels that Nsight Compute measured in two profiles, side by side. */
import type { TranslationBundle } from '@jupyterlab/translation';

import { formatMicroseconds } from '../../figures';
import type { IMeasuredKernel, IMeasurement } from '../../service';
import { boundWord, percent } from '../measured/words';
import type { IColumn } from '../tables/rows';

import { signed } from './words';

type Figure = 'compute_pct' | 'memory_pct' | 'occupancy_pct';

/** All launches of one kernel, whatever their grid and line. */
export interface ISide {
  /** Of one launch. */
  readonly mean_us: number;
  readonly count: number;
  readonly figures: Readonly<Record<Figure, number | null>>;
  /** Of the launches that take most of the time. */
  readonly bound: IMeasuredKernel['bound'];
}

/** A kernel in both profiles, or in one. */
export interface IMeasuredChange {
  readonly name: string;
  readonly before: ISide | null;
  readonly after: ISide | null;
}

/** By name, what takes most time after, or else before, first. */
export function measuredChanges(
  before: IMeasurement,
  after: IMeasurement
): IMeasuredChange[] {
  const [earlier, later] = [sides(before), sides(after)];
  return [...new Set([...later.keys(), ...earlier.keys()])].map(name => ({
    name,
    before: earlier.get(name) ?? null,
    after: later.get(name) ?? null
  }));
}

export function measuredChangeColumns(
  trans: TranslationBundle
): IColumn<IMeasuredChange>[] {
  return [
    {
      id: 'name',
      title: trans.__('Kernel'),
      width: 280,
      value: ({ name }) => name
    },
    {
      id: 'change_us',
      title: trans.__('Change'),
      tip: trans.__('Of the time of a launch: below zero is faster'),
      width: 100,
      value: ({ before, after }) =>
        before && after ? after.mean_us - before.mean_us : null,
      words: value => signed(value)
    },
    ...pair(
      'mean_us',
      trans.__('Time before'),
      trans.__('Time after'),
      ({ mean_us }) => mean_us,
      formatMicroseconds
    ),
    ...percents('compute_pct', trans.__('Compute'), trans),
    ...percents('memory_pct', trans.__('Memory'), trans),
    ...percents('occupancy_pct', trans.__('Occupancy'), trans),
    {
      id: 'bound',
      title: trans.__('Bound by'),
      width: 150,
      value: ({ before, after }) => {
        const told = [before, after].flatMap(side =>
          side?.bound ? [boundWord(side.bound, trans)] : []
        );
        return [...new Set(told)].join(' → ') || null;
      }
    },
    ...pair(
      'count',
      trans.__('Launches before'),
      trans.__('Launches after'),
      ({ count }) => count,
      value => value.toLocaleString()
    )
  ];
}

function percents(
  id: Figure,
  name: string,
  trans: TranslationBundle
): IColumn<IMeasuredChange>[] {
  return pair(
    id,
    trans.__('%1 before', name),
    trans.__('%1 after', name),
    ({ figures }) => figures[id],
    percent
  );
}

function pair(
  id: string,
  before: string,
  after: string,
  figure: (side: ISide) => number | null,
  words: (value: number) => string
): IColumn<IMeasuredChange>[] {
  const shared = { width: 146, words };
  return [
    {
      ...shared,
      id: `${id}_before`,
      title: before,
      value: each => each.before && figure(each.before)
    },
    {
      ...shared,
      id: `${id}_after`,
      title: after,
      value: each => each.after && figure(each.after)
    }
  ];
}

function sides({ kernels }: IMeasurement): Map<string, ISide> {
  const named = new Map<string, IMeasuredKernel[]>();
  for (const kernel of kernels) {
    named.set(kernel.name, [...(named.get(kernel.name) ?? []), kernel]);
  }
  return new Map([...named].map(([name, own]) => [name, sideOf(own)]));
}

/** Means by time, as those of each kernel are. */
function sideOf(kernels: readonly IMeasuredKernel[]): ISide {
  const total = kernels.reduce((sum, { total_us }) => sum + total_us, 0);
  const count = kernels.reduce((sum, each) => sum + each.count, 0);
  const mean = (id: Figure) => {
    const told = kernels.filter(each => each[id] !== null);
    const time = told.reduce((sum, { total_us }) => sum + total_us, 0);
    return time > 0
      ? told.reduce((sum, each) => sum + (each[id] ?? 0) * each.total_us, 0) /
          time
      : null;
  };
  const [most] = [...kernels].sort(
    (one, other) => other.total_us - one.total_us
  );
  return {
    mean_us: count > 0 ? total / count : 0,
    count,
    figures: {
      compute_pct: mean('compute_pct'),
      memory_pct: mean('memory_pct'),
      occupancy_pct: mean('occupancy_pct')
    },
    bound: most.bound
  };
}
