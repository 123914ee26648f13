import type { TranslationBundle } from '@jupyterlab/translation';

import { formatDuration } from '../core/format';

/**
 * Most ranks that are listed one by one, and the shortest run of numbers that
 * is written as a range.
 */
const [ONE_BY_ONE, STRETCH] = [8, 3];

/** Format microseconds: `840 µs`, `12.3 ms`, `4.56 s`, `2 min 5 s`. */
export function formatMicroseconds(us: number): string {
  if (!Number.isFinite(us)) {
    return '–';
  }
  if (us < 1e3) {
    return `${digits(us)} µs`;
  }
  if (us < 1e6) {
    return `${digits(us / 1e3)} ms`;
  }
  return us < 60e6 ? `${digits(us / 1e6)} s` : formatDuration(us / 1e6);
}

/** Format `part` of `whole` in percent, with one more digit below ten. */
export function formatShare(part: number, whole: number): string {
  const percent = whole > 0 ? (part / whole) * 100 : 0;
  if (percent > 0 && percent < 0.1) {
    return '<0.1 %';
  }
  return `${Number(percent.toFixed(percent < 10 ? 1 : 0))} %`;
}

/** Format ranks: `0, 2, 3`; more than eight as `0 to 63, 65 to 127`. */
export function ranksText(
  ranks: readonly number[],
  trans: TranslationBundle
): string {
  if (ranks.length <= ONE_BY_ONE) {
    return ranks.join(', ');
  }
  const rows: number[][] = [];
  let before = NaN;
  for (const rank of [...ranks].sort((one, other) => one - other)) {
    if (rank === before + 1) {
      rows[rows.length - 1].push(rank);
    } else {
      rows.push([rank]);
    }
    before = rank;
  }
  return rows
    .map(row =>
      row.length >= STRETCH
        ? trans.__('%1 to %2', row[0], row[row.length - 1])
        : row.join(', ')
    )
    .join(', ');
}

function digits(value: number): string {
  return value >= 1000
    ? value.toFixed(0)
    : String(Number(value.toPrecision(3)));
}
