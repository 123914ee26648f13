/**
 * Memory over time as columns: the sum, reserved memory, and the largest lines
 * as stacked bands.
 */
import { bytesOf } from '../../timeline/tiles';

import type { IMemoryTimeline, ISite } from './service';

/** The band of a line. */
export interface IBand {
  readonly line: number;
  readonly site: ISite;
  readonly low: Float64Array;
  readonly high: Float64Array;
}

/** A period of a device's memory, at sorted points. */
export interface IMemoryCurve {
  readonly number: number;
  readonly moments: number;
  readonly byTime: boolean;
  readonly peak: number;
  readonly peakAt: number;
  readonly failures: readonly number[];
  /**
   * The moments of the points, and their positions on the axis: microseconds,
   * or moments.
   */
  readonly at: Int32Array;
  readonly x: ArrayLike<number>;
  /** End of the axis; the last point lasts until then. */
  readonly end: number;
  readonly held: Float64Array;
  /** Empty if it is not known. */
  readonly reserved: Float64Array;
  readonly bands: readonly IBand[];
}

export function heldOf(answer: IMemoryTimeline): IMemoryCurve {
  const at = new Int32Array(bytesOf(answer.at));
  const held = new Float64Array(bytesOf(answer.held));
  const us = new Float64Array(bytesOf(answer.us));
  const x = answer.by_time && us.length > 0 ? us : at;
  let low = new Float64Array(at.length);
  const bands = answer.bands.map(({ line, site, curve }) => {
    const own = new Float64Array(bytesOf(curve));
    const band = { line, site, low, high: low.map((sum, n) => sum + own[n]) };
    low = band.high;
    return band;
  });
  const last = x[x.length - 1];
  return {
    number: answer.number,
    moments: answer.moments,
    byTime: x === us,
    peak: answer.peak,
    peakAt: answer.peak_at,
    failures: answer.failures,
    at,
    x,
    end: x === us ? last + Math.max((last - us[0]) / 200, 1e-3) : last + 1,
    held,
    reserved: new Float64Array(bytesOf(answer.reserved)),
    bands
  };
}

/**
 * The last point at or before `x` on the axis; the first one if `x` is before
 * all.
 */
export function pointAt(points: ArrayLike<number>, x: number): number {
  let [low, high] = [0, points.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle] <= x) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return Math.max(low - 1, 0);
}

/** The position of a moment on the axis, interpolated between points. */
export function placeOf(curve: IMemoryCurve, moment: number): number {
  const { at, x } = curve;
  const point = pointAt(at, moment);
  const next = Math.min(point + 1, at.length - 1);
  const part = (moment - at[point]) / Math.max(at[next] - at[point], 1);
  return x[point] + Math.min(Math.max(part, 0), 1) * (x[next] - x[point]);
}

/** The moment that a key moves to; null for other keys. */
export function momentOfKey(
  curve: IMemoryCurve,
  moment: number,
  key: string
): number | null {
  const { at } = curve;
  const last = at.length - 1;
  const point = pointAt(at, moment);
  const page = Math.max(1, Math.round(at.length / 10));
  const back = at[point] < moment ? point : point - 1;
  switch (key) {
    case 'ArrowLeft':
      return at[Math.max(back, 0)];
    case 'ArrowRight':
      return at[Math.min(point + 1, last)];
    case 'PageUp':
      return at[Math.max(point - page, 0)];
    case 'PageDown':
      return at[Math.min(point + page, last)];
    case 'Home':
      return at[0];
    case 'End':
      return at[last];
    default:
      return null;
  }
}

/**
 * The visible moments after a zoom: `factor` below 1 shows fewer, around a
 * moment that keeps its place.
 */
export function zoomed(
  curve: IMemoryCurve,
  factor: number,
  around: number
): [first: number, last: number] {
  const from = curve.at[0];
  const to = curve.at[curve.at.length - 1];
  const middle = Math.min(Math.max(around, from), to);
  const first = Math.round(middle - (middle - from) * factor);
  const last = Math.round(middle + (to - middle) * factor);
  const end = curve.moments - 1;
  // Fewer moments would not show more.
  const least = Math.min(8, end);
  const start = Math.max(0, Math.min(first, end - least));
  return [start, Math.min(end, Math.max(last, start + least))];
}
