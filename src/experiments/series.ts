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

/** Lines over a common x. */
export interface IAligned {
  x: number[];
  /** One a history, null where it has no point at x. */
  lines: (number | null)[][];
  /** What x is: steps, or seconds since the first point where all points have one step. */
  axis: 'step' | 'seconds' | 'time';
}

/** Histories over common steps, or over time (seconds since 1970). */
export function align(
  all: readonly ISeries[],
  over: 'step' | 'time'
): IAligned {
  const stepless =
    over === 'step' &&
    all.some(({ steps }) => steps.length > 1) &&
    all.every(({ steps }) => steps.every(step => step === all[0].steps[0]));
  const start = Math.min(
    ...all.flatMap(({ timestamps }) => timestamps[0] ?? [])
  );
  const places = all.map(({ steps, timestamps }) =>
    over === 'time'
      ? timestamps
      : stepless
        ? timestamps.map(at => at - start)
        : steps
  );
  const x = [...new Set(places.flat())].sort((a, b) => a - b);
  const index = new Map(x.map((place, position) => [place, position]));
  const lines = all.map(({ values }, line) => {
    const own: (number | null)[] = new Array(x.length).fill(null);
    places[line].forEach((place, point) => {
      own[index.get(place)!] = values[point];
    });
    return own;
  });
  return {
    x,
    lines,
    axis: over === 'time' ? over : stepless ? 'seconds' : over
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
