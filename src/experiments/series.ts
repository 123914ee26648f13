/**
 * Joins histories of metrics as points come, and puts them on one axis for a
 * chart.
 */
import type { ISeries } from './service';

/** A point of the live topic `run:<id>`. Times in seconds since 1970. */
export interface IPoint {
  key: string;
  step: number;
  timestamp: number;
  value: number | null;
}

/** A message of the live topic `run:<id>`. */
export interface ILivePoints {
  run_id: string;
  points: IPoint[];
}

/**
 * Return one history with more points in their places; a point that comes twice
 * is kept once.
 */
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
      // MLflow keeps whole milliseconds; live points may be finer.
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

/** Return points of several metrics as one history each, ordered by step. */
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
 * Return the x of each point: its step, or seconds since the first point if all
 * have one step, or its time (seconds since 1970).
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
 * Return the step after which points are missing: before the last step of each
 * running history, since another metric may have come at that step later.
 */
export function missingAfter(all: Iterable<ISeries>): number {
  const ends = [...all]
    .filter(({ steps }) => steps.length > 1)
    .map(({ steps }) => steps[steps.length - 1]);
  return ends.length === 0 ? -1 : Math.min(...ends) - 1;
}
