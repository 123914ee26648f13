/** The part of a trace's time that its waterfall shows. Times are in seconds since the trace began. */

export interface ITimeRange {
  readonly from: number;
  readonly to: number;
}

/** The shortest shown time, in seconds. */
const SHORTEST = 1e-6;

/** Return the range that is `factor` times as long, with `at` in the same place, within the whole. */
export function zoomed(
  range: ITimeRange,
  whole: ITimeRange,
  at: number,
  factor: number
): ITimeRange {
  const length = range.to - range.from;
  const longest = whole.to - whole.from;
  const next = Math.min(
    longest,
    Math.max(Math.min(SHORTEST, longest), length * factor)
  );
  const share = length > 0 ? (at - range.from) / length : 0.5;
  return within(
    { from: at - share * next, to: at + (1 - share) * next },
    whole
  );
}

/** Return the range moved by `share` of its length, within the whole. */
export function panned(
  range: ITimeRange,
  whole: ITimeRange,
  share: number
): ITimeRange {
  const by = (range.to - range.from) * share;
  return within({ from: range.from + by, to: range.to + by }, whole);
}

/** Return the range around a span, with a margin of a twentieth on each side. */
export function around(
  start: number,
  end: number,
  whole: ITimeRange
): ITimeRange {
  const margin = Math.max(SHORTEST, (end - start) / 20);
  return within({ from: start - margin, to: end + margin }, whole);
}

/** Return where a span's bar begins and how wide it is, as shares of the width; null outside the range. */
export function barOf(
  start: number,
  end: number,
  range: ITimeRange
): { left: number; width: number } | null {
  const length = range.to - range.from;
  if (length <= 0) {
    return { left: 0, width: 1 };
  }
  if (end < range.from || start > range.to) {
    return null;
  }
  const left = Math.max(0, (start - range.from) / length);
  const right = Math.min(1, (end - range.from) / length);
  return { left, width: Math.max(0, right - left) };
}

/** Format a time of a span in seconds, such as `1.24 ms`. */
export function formatSpanTime(seconds: number): string {
  const size = Math.abs(seconds);
  const [value, unit] =
    size === 0 || size >= 1
      ? [seconds, 's']
      : size >= 1e-3
        ? [seconds * 1e3, 'ms']
        : [seconds * 1e6, 'µs'];
  if (size >= 120) {
    return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  }
  return `${Number(value.toPrecision(3)).toLocaleString()} ${unit}`;
}

function within(range: ITimeRange, whole: ITimeRange): ITimeRange {
  const length = Math.min(range.to - range.from, whole.to - whole.from);
  const from = Math.min(Math.max(range.from, whole.from), whole.to - length);
  return { from, to: from + length };
}
