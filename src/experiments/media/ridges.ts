/** Draws histograms over steps as lines behind each other. */
import type { IHistograms } from './service';

/** Lines that can be told apart in the available height. */
export const MOST_RIDGES = 24;
export const WIDTH = 280;
export const HEIGHT = 120;
const PEAK = 34;

/**
 * One line: its place among the rows, and its path; the first line is the
 * furthest behind.
 */
export interface IRidge {
  place: number;
  path: string;
}

/**
 * Return lines for evenly chosen rows of a series, with `current` among them.
 * Heights are the square root of each bin's share, so that a peak does not hide
 * the rest.
 */
export function ridges(
  { rows, low, high }: IHistograms,
  current: number,
  domain: readonly [number, number]
): IRidge[] {
  const places = evenly(rows.length, MOST_RIDGES, current);
  const shares = places.map(place => {
    const { counts, finite } = rows[place];
    return counts.map(count => (finite ? count / finite : 0));
  });
  const most = Math.max(...shares.flat(), Number.MIN_VALUE);
  const [from, to] = domain;
  const at = (value: number) => ((value - from) / (to - from || 1)) * WIDTH;
  return places.map((place, order) => {
    const bins = shares[order];
    const width = (high - low) / (bins.length || 1);
    const share = places.length > 1 ? order / (places.length - 1) : 1;
    const base = PEAK + share * (HEIGHT - PEAK - 1);
    const points = bins.map((count, bin) => {
      const y = base - Math.sqrt(count / most) * (PEAK - 2);
      return `${at(low + width * (bin + 0.5)).toFixed(1)},${y.toFixed(1)}`;
    });
    const begin = `M${at(low).toFixed(1)},${base.toFixed(1)}`;
    return {
      place,
      path: `${begin}L${points.join('L')}L${at(high).toFixed(1)},${base.toFixed(1)}`
    };
  });
}

/**
 * Return at most `most` places of `length`: the first, the last and `wanted`
 * among them.
 */
export function evenly(length: number, most: number, wanted: number): number[] {
  const count = Math.min(length, most);
  const places = Array.from({ length: count }, (_, order) =>
    count > 1 ? Math.round((order * (length - 1)) / (count - 1)) : 0
  );
  if (wanted >= 0 && wanted < length && !places.includes(wanted)) {
    // `wanted` replaces its nearest neighbour that is neither first nor last.
    const nearest = places
      .slice(1, -1)
      .sort((a, b) => Math.abs(a - wanted) - Math.abs(b - wanted))[0];
    places[places.indexOf(nearest)] = wanted;
  }
  return places;
}
