/** Histories of metrics: joined as points come, and put on one axis for a chart. */
import type { ISeries } from './service';

/** A point as the live topic `run:<id>` carries it. Seconds since 1970. */
export interface IPoint {
  key: string;
  step: number;
  timestamp: number;
  value: number | null;
}

/** What the live topic `run:<id>` carries. */
export interface ILivePoints {
  run_id: string;
  points: IPoint[];
}

/** One history with more points in their places; a point that came before is kept once. */
export function mergeSeries(
  known: ISeries | undefined,
  more: ISeries
): ISeries {
  if (!known || known.steps.length === 0) {
    return more;
  }
  if (more.steps.length === 0) {
    return known;
  }
  const last = known.steps.length - 1;
  if (more.steps[0] > known.steps[last]) {
    return {
      key: known.key,
      steps: known.steps.concat(more.steps),
      values: known.values.concat(more.values),
      timestamps: known.timestamps.concat(more.timestamps)
    };
  }
  const points = new Map<string, [number, number | null, number]>();
  for (const { steps, values, timestamps } of [known, more]) {
    steps.forEach((step, index) => {
      // MLflow keeps whole milliseconds; what comes live may be finer.
      const at = Math.floor(timestamps[index] * 1000 + 1e-3);
      points.set(`${step}:${at}`, [step, values[index], timestamps[index]]);
    });
  }
  const sorted = [...points.values()].sort(
    (a, b) => a[0] - b[0] || a[2] - b[2]
  );
  return {
    key: known.key,
    steps: sorted.map(point => point[0]),
    values: sorted.map(point => point[1]),
    timestamps: sorted.map(point => point[2])
  };
}

/** Points of several metrics as a history each, ordered by step. */
export function seriesOf(points: readonly IPoint[]): ISeries[] {
  const byKey = new Map<string, IPoint[]>();
  for (const point of points) {
    byKey.set(point.key, [...(byKey.get(point.key) ?? []), point]);
  }
  return [...byKey].map(([key, own]) => {
    own.sort((a, b) => a.step - b.step || a.timestamp - b.timestamp);
    return {
      key,
      steps: own.map(point => point.step),
      values: own.map(point => point.value),
      timestamps: own.map(point => point.timestamp)
    };
  });
}

/**
 * Where the points of histories stand: at their steps, in seconds since the first point where all
 * have one step, or at their times (seconds since 1970).
 */
export function placed(
  all: readonly ISeries[],
  over: 'step' | 'time'
): { axis: 'step' | 'seconds' | 'time'; places: readonly number[][] } {
  const [first] = all.flatMap(({ steps }) => steps);
  const stepless =
    all.some(({ steps }) => steps.length > 1) &&
    all.every(({ steps }) => steps.every(step => step === first));
  if (over === 'step' && !stepless) {
    return { axis: 'step', places: all.map(({ steps }) => steps) };
  }
  const times = all.map(({ timestamps }) => timestamps);
  const start = Math.min(...times.flatMap(([time]) => time ?? []));
  return over === 'time'
    ? { axis: 'time', places: times }
    : {
        axis: 'seconds',
        places: times.map(each => each.map(time => time - start))
      };
}

/**
 * The step after which points are missing: before the last step of each history
 * that goes on, since another metric may have come at that step later.
 */
export function missingAfter(all: Iterable<ISeries>): number {
  const ends = [...all]
    .filter(({ steps }) => steps.length > 1)
    .map(({ steps }) => steps[steps.length - 1]);
  return ends.length === 0 ? -1 : Math.min(...ends) - 1;
}
