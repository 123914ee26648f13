/** Colours of runs and values, the same on all cards. */
import { SERIES } from '../../core/charts/look';
import { runColors } from '../table/run-color';

const DASHES: readonly (readonly number[])[] = [
  [],
  [6, 3],
  [2, 2],
  [8, 3, 2, 3]
];

/**
 * Return the look of each run's line: its usual colour, and dashes if two runs
 * share one.
 */
export function runLooks(
  ids: readonly string[]
): Map<string, { color: string; dash: readonly number[] }> {
  const used = new Map<string, number>();
  return new Map(
    ids.map(id => {
      const color = runColors.of(id);
      const before = used.get(color) ?? 0;
      used.set(color, before + 1);
      return [id, { color, dash: DASHES[before % DASHES.length] }] as const;
    })
  );
}

/**
 * Return the colour of a share from 0 to 1: violet, blue, green, yellow;
 * visible on both backgrounds.
 */
export function scaleColor(share: number): string {
  const at = Math.round(Math.min(Math.max(share, 0), 1) * 32) / 32;
  return `oklch(${(50 + 22 * at).toFixed(1)}% 0.15 ${(310 - 225 * at).toFixed(0)})`;
}

/** Return the colour of a numbered word of a list. */
export function wordColor(number: number): string {
  return SERIES[number % SERIES.length];
}
