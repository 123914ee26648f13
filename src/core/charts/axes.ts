/**
 * Scales and axes with d3's ticks. d3-scale is left out: with its colour interpolation it is larger
 * than all other code of a card.
 */
import { ticks } from 'd3-array';

import { formatDuration, formatNumber } from '../format';

import type { IFrame, ILook, Mark, Numbers } from './scene';
import { LETTER_PX, fitted } from './scene';

/** Margin at the right of a frame, in pixels. */
const MARGIN_PX = 8;

/** A mapping from values to pixels. */
export interface IScale {
  readonly domain: readonly [number, number];
  readonly at: (value: number) => number;
  readonly from: (pixel: number) => number;
  readonly ticks: (count: number) => readonly { value: number; text: string }[];
}

/** The minimum and maximum of the finite numbers (log scale: of the positive ones); null if there are none. */
export function extent(
  all: Iterable<ArrayLike<number>>,
  positive = false
): [number, number] | null {
  let low = Infinity;
  let high = -Infinity;
  for (const numbers of all) {
    for (let at = 0; at < numbers.length; at++) {
      const value = numbers[at];
      if (Number.isFinite(value) && !(positive && value <= 0)) {
        low = Math.min(low, value);
        high = Math.max(high, value);
      }
    }
  }
  return low <= high ? [low, high] : null;
}

/** Extend a domain by a margin at both ends, or around a single value. */
export function padded(
  [low, high]: readonly [number, number],
  log = false,
  share = 0.04
): [number, number] {
  if (log) {
    const factor = low === high ? 2 : (high / low) ** share;
    return [low / factor, high * factor];
  }
  const air = low === high ? Math.abs(low) * 0.1 || 1 : (high - low) * share;
  return [low - air, high + air];
}

/** A scale of numbers from `domain` to `range`. */
export function numberScale(
  kind: 'linear' | 'log' | 'duration',
  domain: readonly [number, number],
  range: readonly [number, number]
): IScale {
  const isLog = kind === 'log';
  const place = (value: number) => (isLog ? Math.log10(value) : value);
  const [low, high] = domain.map(place);
  const [begin, end] = range;
  const pixels = (end - begin) / (high - low || 1);
  return {
    domain,
    at: value => {
      const at = begin + (place(value) - low) * pixels;
      return Number.isFinite(at) ? at : NaN;
    },
    from: pixel => {
      const at = low + (pixel - begin) / pixels;
      return isLog ? 10 ** at : at;
    },
    ticks: count =>
      (isLog ? logTicks(domain, count) : ticks(low, high, count))
        .map(value => ({ value, text: valueText(kind, value) }))
        // Rounded times of a short axis may be equal.
        .filter(({ text }, place, all) => text !== all[place - 1]?.text)
  };
}

/** Ticks of a log scale: whole digits for few decades, powers of ten for many. */
function logTicks(
  [low, high]: readonly [number, number],
  count: number
): number[] {
  const [first, last] = [Math.log10(low), Math.log10(high)];
  const digits: number[] = [];
  for (let power = Math.floor(first); power <= last; power++) {
    for (let digit = 1; digit < 10; digit++) {
      const value = digit * 10 ** power;
      if (value >= low && value <= high) {
        digits.push(value);
      }
    }
  }
  if (2 * digits.length < count) {
    return ticks(low, high, count);
  }
  return digits.length <= 1.6 * count
    ? digits
    : ticks(first, last, Math.min(last - first, count))
        .filter(Number.isInteger)
        .map(power => 10 ** power);
}

/** Format a value of a scale. */
export function valueText(
  kind: 'linear' | 'log' | 'duration' | 'time' | 'words',
  value: number
): string {
  switch (kind) {
    case 'time':
      return new Date(value * 1000).toLocaleString();
    case 'duration':
      return value < 0 ? `-${formatDuration(-value)}` : formatDuration(value);
    default:
      return formatNumber(value);
  }
}

/** The pixels of points on two scales; NaN for values that are not finite. */
export function projected(
  line: { readonly x: Numbers; readonly y: Numbers },
  x: IScale,
  y: IScale
): { x: Float64Array; y: Float64Array } {
  return {
    x: Float64Array.from(line.x, x.at),
    y: Float64Array.from(line.y, y.at)
  };
}

/** The first index in ascending numbers whose value is not below `wanted`. */
export function lowerBound(numbers: Numbers, wanted: number): number {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (numbers[middle] < wanted) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

/** The ticks of a vertical axis of this height in pixels. */
export function uprightTicks(
  y: IScale,
  height: number
): ReturnType<IScale['ticks']> {
  return y.ticks(Math.max(3, Math.floor(height / 36)));
}

/** The lines and labels of two axes, with their names if they fit. */
export function axes(
  frame: IFrame,
  x: IScale,
  y: IScale,
  names: { x: string; y: string } | null,
  look: ILook
): Mark[] {
  const { left, top, width, height } = frame;
  const bottom = top + height;
  const marks: Mark[] = [];
  const line = (
    from: [number, number],
    to: [number, number],
    color: string
  ): Mark => ({
    kind: 'line',
    x: [from[0], to[0]],
    y: [from[1], to[1]],
    width: 1,
    color
  });
  for (const { value, text } of uprightTicks(y, height)) {
    const at = y.at(value);
    marks.push(line([left, at], [left + width, at], look.grid), {
      kind: 'text',
      x: left - 6,
      y: at,
      text: fitted(text, left - (names ? 22 : 0)),
      align: 'end',
      color: look.faint
    });
  }
  let free = -Infinity;
  for (const { value, text } of x.ticks(Math.max(3, Math.floor(width / 80)))) {
    const at = x.at(value);
    const half = (text.length * LETTER_PX) / 2;
    if (at - half < free) {
      continue; // it would overlap the label before
    }
    free = at + half + 6;
    marks.push(line([at, bottom], [at, bottom + 4], look.grid), {
      kind: 'text',
      // Keep the last label inside the picture.
      x: Math.min(at, left + width + MARGIN_PX - half),
      y: bottom + 12,
      text,
      align: 'middle',
      color: look.faint
    });
  }
  marks.push(line([left, bottom], [left + width, bottom], look.faint));
  if (names) {
    marks.push(
      {
        kind: 'text',
        x: left + width / 2,
        y: bottom + 27,
        text: fitted(names.x, width),
        align: 'middle',
        color: look.text
      },
      {
        kind: 'text',
        x: 9,
        y: top + height / 2,
        text: fitted(names.y, height),
        align: 'middle',
        turned: true,
        color: look.text
      }
    );
  }
  return marks;
}

/** Vertical grid lines with their values below, for horizontal bars. */
export function uprightGrid(x: IScale, frame: IFrame, look: ILook): Mark[] {
  const bottom = frame.top + frame.height;
  return x
    .ticks(Math.max(2, Math.floor(frame.width / 80)))
    .flatMap(({ value, text }): Mark[] => [
      {
        kind: 'line',
        x: [x.at(value), x.at(value)],
        y: [frame.top, bottom],
        width: 1,
        color: look.grid
      },
      {
        kind: 'text',
        x: x.at(value),
        y: bottom + 12,
        text,
        align: 'middle',
        color: look.faint
      }
    ]);
}

/** The plot area of a picture with axes. */
export function frameIn(width: number, height: number): IFrame {
  return {
    left: 68,
    top: 8,
    width: Math.max(width - 80, 20),
    height: Math.max(height - 44, 20)
  };
}
