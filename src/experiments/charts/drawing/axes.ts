/** Scales and axes: d3-scale's ticks, written as people write numbers here. */
import { scaleLinear, scaleLog, scaleTime } from 'd3-scale';

import { formatDuration } from '../../../core/format';
import { formatNumber } from '../../../core/palette';

import type { IFrame, ILook, Mark } from './scene';
import { LETTER_PX, fitted } from './scene';

export type ScaleKind = 'linear' | 'log' | 'time' | 'duration' | 'words';

/** From values to pixels. */
export interface IScale {
  readonly kind: ScaleKind;
  readonly domain: readonly [number, number];
  readonly at: (value: number) => number;
  readonly from: (pixel: number) => number;
  readonly ticks: (count: number) => readonly { value: number; text: string }[];
}

/** The least and the largest of finite numbers (for a log scale of positive ones); null where there is none. */
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

/** With some air at both ends; of one value alone around it. */
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

/** A scale from `domain` to `range`. */
export function makeScale(
  kind: ScaleKind,
  domain: readonly [number, number],
  range: readonly [number, number],
  words: readonly string[] = []
): IScale {
  const [low, high] = domain;
  if (kind === 'time') {
    const scale = scaleTime()
      .domain([new Date(low * 1000), new Date(high * 1000)])
      .range(range);
    const format = scale.tickFormat();
    return {
      kind,
      domain,
      at: value => scale(value * 1000),
      from: pixel => scale.invert(pixel).getTime() / 1000,
      ticks: count =>
        scale
          .ticks(count)
          .map(date => ({ value: date.getTime() / 1000, text: format(date) }))
    };
  }
  const scale = (kind === 'log' ? scaleLog() : scaleLinear())
    .domain(domain)
    .range(range);
  return {
    kind,
    domain,
    at: value => (kind === 'log' && value <= 0 ? NaN : scale(value)),
    from: pixel => scale.invert(pixel),
    ticks: count => {
      if (kind === 'words') {
        const each = Math.max(1, Math.ceil(words.length / Math.max(count, 1)));
        return words.flatMap((text, value) =>
          value % each === 0 ? [{ value, text }] : []
        );
      }
      const all = scale.ticks(count);
      // A log scale of many decades has its marks at powers of ten alone.
      const few =
        kind === 'log' && all.length > 1.6 * count
          ? all.filter(value => Math.abs(Math.log10(value) % 1) < 1e-9)
          : all;
      return few.map(value => ({
        value,
        text: kind === 'duration' ? durationText(value) : formatNumber(value)
      }));
    }
  };
}

function durationText(seconds: number): string {
  return seconds < 0 ? `-${formatDuration(-seconds)}` : formatDuration(seconds);
}

/** A value of a scale in words. */
export function valueText(kind: ScaleKind, value: number): string {
  switch (kind) {
    case 'time':
      return new Date(value * 1000).toLocaleString();
    case 'duration':
      return durationText(value);
    default:
      return formatNumber(value);
  }
}

/** The lines, marks and names of two axes. */
export function axes(
  frame: IFrame,
  x: IScale,
  y: IScale,
  names: { x: string; y: string },
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
  for (const { value, text } of y.ticks(Math.max(2, Math.floor(height / 36)))) {
    const at = y.at(value);
    marks.push(line([left, at], [left + width, at], look.grid), {
      kind: 'text',
      x: left - 6,
      y: at,
      text: fitted(text, left - 22),
      align: 'end',
      color: look.faint
    });
  }
  let free = -Infinity;
  for (const { value, text } of x.ticks(Math.max(2, Math.floor(width / 80)))) {
    const at = x.at(value);
    const half = (text.length * LETTER_PX) / 2;
    if (at - half < free) {
      continue; // it would stand in the one before
    }
    free = at + half + 6;
    marks.push(line([at, bottom], [at, bottom + 4], look.grid), {
      kind: 'text',
      x: at,
      y: bottom + 12,
      text,
      align: 'middle',
      color: look.faint
    });
  }
  marks.push(
    line([left, bottom], [left + width, bottom], look.faint),
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
  return marks;
}

/** Upright lines with their values below, for bars that lie. */
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

/** The frame inside a picture with axes. */
export function frameIn(width: number, height: number): IFrame {
  return {
    left: 68,
    top: 8,
    width: Math.max(width - 80, 20),
    height: Math.max(height - 44, 20)
  };
}
