/** Scales of cards: numbers, times and words. */
import { timeTicks } from 'd3-time';

import type { IScale } from '../../core/charts/axes';
import { numberScale } from '../../core/charts/axes';

export type ScaleKind = 'linear' | 'log' | 'time' | 'duration' | 'words';

/**
 * Return a scale from `domain` to `range`; times are seconds since 1970, words
 * are numbered.
 */
export function makeScale(
  kind: ScaleKind,
  domain: readonly [number, number],
  range: readonly [number, number],
  words: readonly string[] = []
): IScale {
  switch (kind) {
    case 'time': {
      const [begin, end] = domain.map(seconds => new Date(seconds * 1000));
      return {
        ...numberScale('linear', domain, range),
        ticks: count =>
          timeTicks(begin, end, count).map(date => ({
            value: date.getTime() / 1000,
            text: dateText(date)
          }))
      };
    }
    case 'words':
      return {
        ...numberScale('linear', domain, range),
        ticks: count => {
          const each = Math.max(
            1,
            Math.ceil(words.length / Math.max(count, 1))
          );
          return words.flatMap((text, value) =>
            value % each === 0 ? [{ value, text }] : []
          );
        }
      };
    default:
      return numberScale(kind, domain, range);
  }
}

/** Return the part of a date that its neighbours on an axis do not share. */
function dateText(date: Date): string {
  if (date.getHours() + date.getMinutes() + date.getSeconds() > 0) {
    return date.toLocaleTimeString(undefined, {
      hour: 'numeric',
      minute: '2-digit',
      second: date.getSeconds() > 0 ? '2-digit' : undefined
    });
  }
  return date.getDate() > 1
    ? date.toLocaleDateString(undefined, { day: 'numeric', month: 'short' })
    : date.toLocaleDateString(undefined, { month: 'short', year: 'numeric' });
}
