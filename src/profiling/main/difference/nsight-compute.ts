/** Compare kernels that Nsight Compute measured in two profiles. */
import type { TranslationBundle } from '@jupyterlab/translation';

import { formatMicroseconds } from '../../figures';
import type { IChange, IMeasuredKernel, IMeasurement } from '../../service';
import { boundWord, percent } from '../nsight-compute/messages';
import type { IColumn } from '../tables/rows';

import { launchWords, signed } from './messages';

type ILaunchedWith = IChange['before_with'][number];
type Figure = 'compute_pct' | 'memory_pct' | 'occupancy_pct';

/** Launches of one kernel from any line. */
export interface ISide {
  /** Mean time of one launch. */
  readonly mean_us: number;
  readonly count: number;
  /** Null also for kernels that are left out of the list. */
  readonly figures: Readonly<Record<Figure, number | null>>;
  /** The limit of the launches with most time. */
  readonly bound: IMeasuredKernel['bound'];
}

/** A kernel in both profiles, or in one. */
export interface IMeasuredChange {
  readonly name: string;
  /** The compared launches. */
  readonly change: IChange;
  readonly before: ISide | null;
  readonly after: ISide | null;
}

/** Rows for the engine's matched kernels, with their measurements. */
export function measuredChanges(
  changes: readonly IChange[],
  before: IMeasurement,
  after: IMeasurement
): IMeasuredChange[] {
  const [earlier, later] = [byLaunch(before), byLaunch(after)];
  return changes.map(change => {
    const side = (
      kernels: ReadonlyMap<string, readonly IMeasuredKernel[]>,
      launches: readonly ILaunchedWith[],
      us: number,
      count: number
    ) =>
      launches.length > 0
        ? sideOf(
            launches.flatMap(
              each => kernels.get(launchKey({ ...change, ...each })) ?? []
            ),
            us,
            count
          )
        : null;
    return {
      name: change.name,
      change,
      before: side(
        earlier,
        change.before_with,
        change.before_us,
        change.before_count
      ),
      after: side(later, change.after_with, change.after_us, change.after_count)
    };
  });
}

export function measuredChangeColumns(
  trans: TranslationBundle
): IColumn<IMeasuredChange>[] {
  return [
    {
      id: 'name',
      title: trans.__('GPU kernel'),
      width: 280,
      value: ({ name }) => name
    },
    {
      id: 'launched',
      title: trans.__('Grid × block'),
      tip: trans.__('Grid and block before and after, where they differ'),
      width: 220,
      value: ({ change }) => launchWords(change, trans) || null
    },
    {
      id: 'change_us',
      title: trans.__('Change'),
      tip: trans.__('Change of the time of one launch: negative is faster'),
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
        const bounds = [before, after].flatMap(side =>
          side?.bound ? [boundWord(side.bound, trans)] : []
        );
        return [...new Set(bounds)].join(' → ') || null;
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

function launchKey(
  of: Pick<IMeasuredKernel, 'name' | 'grid' | 'block'>
): string {
  return JSON.stringify([of.name, of.grid, of.block]);
}

function byLaunch({
  kernels
}: IMeasurement): ReadonlyMap<string, readonly IMeasuredKernel[]> {
  const found = new Map<string, IMeasuredKernel[]>();
  for (const kernel of kernels) {
    const key = launchKey(kernel);
    found.set(key, [...(found.get(key) ?? []), kernel]);
  }
  return found;
}

/** Means weighted by time, as for each kernel. */
function sideOf(
  kernels: readonly IMeasuredKernel[],
  us: number,
  count: number
): ISide {
  const mean = (id: Figure) => {
    const known = kernels.filter(each => each[id] !== null);
    const time = known.reduce((sum, { total_us }) => sum + total_us, 0);
    return time > 0
      ? known.reduce((sum, each) => sum + (each[id] ?? 0) * each.total_us, 0) /
          time
      : null;
  };
  const most = [...kernels].sort(
    (one, other) => other.total_us - one.total_us
  )[0] as IMeasuredKernel | undefined;
  return {
    mean_us: count > 0 ? us / count : 0,
    count,
    figures: {
      compute_pct: mean('compute_pct'),
      memory_pct: mean('memory_pct'),
      occupancy_pct: mean('occupancy_pct')
    },
    bound: most?.bound ?? ''
  };
}
