/** Bands of memory as marks: the screen and the PNG draw the same ones. */
import type { ILook, IScene, Mark } from '../../../core/charts/scene';
import { formatBytes } from '../../../core';

import type { IBand, IMemoryCurve } from './bands';
import { placeOf, pointAt } from './bands';

const LEFT_PX = 66;
const TOP_PX = 14;
const FOOT_PX = 22;
const FAINT = 0.22;
/** Approximate number of grid lines. */
const LINES = 4;
const LEGEND_PX = 16;

export interface IPictureOptions {
  curve: IMemoryCurve;
  width: number;
  height: number;
  look: ILook;
  /** The colour of a band by its position; -1 is without a band. */
  colorOf: (place: number) => string;
  /** The colour of failures. */
  alarm: string;
  /** The highlighted line; null: none. */
  lit: number | null;
  /** Format a position of the axis. */
  when: (x: number) => string;
  words: { others: string };
  /**
   * Adds a legend for a picture outside the page; returns the name of a line.
   */
  legend?: (band: IBand) => string;
}

export function memoryPicture(options: IPictureOptions): IScene {
  const { curve, width, look, colorOf, alarm, lit, when, words } = options;
  const frame = {
    left: LEFT_PX,
    top: TOP_PX,
    width: Math.max(width - LEFT_PX - 8, 10),
    height: options.height - TOP_PX - FOOT_PX
  };
  const most = Math.max(...curve.held, ...curve.reserved, 1);
  const y = (bytes: number) =>
    frame.top + frame.height * (1 - bytes / (most * 1.02));
  const { x: places, end } = curve;
  const span = Math.max(end - places[0], Number.MIN_VALUE);
  const x = (place: number) =>
    frame.left + (frame.width * (place - places[0])) / span;
  const marks: Mark[] = [];
  for (const bytes of ticks(most)) {
    marks.push(
      {
        kind: 'box',
        x: frame.left,
        y: Math.round(y(bytes)),
        width: frame.width,
        height: 1,
        color: look.grid
      },
      {
        kind: 'text',
        x: frame.left - 6,
        y: y(bytes),
        text: formatBytes(bytes),
        align: 'end',
        color: look.faint
      }
    );
  }
  const across = stepped(places, end).map(x);
  const area = (
    low: Float64Array,
    high: Float64Array,
    line: number | null,
    place: number
  ) =>
    marks.push({
      kind: 'area',
      x: across,
      low: twice(low).map(y),
      high: twice(high).map(y),
      color: colorOf(place),
      opacity: lit === null || lit === line ? 0.9 : FAINT,
      clipped: true
    });
  curve.bands.forEach(({ line, low, high }, place) =>
    area(low, high, line, place)
  );
  const top = curve.bands[curve.bands.length - 1]?.high;
  // Lines without a band are in the grey one.
  const isBand = curve.bands.some(({ line }) => line === lit);
  area(
    top ?? new Float64Array(curve.at.length),
    curve.held,
    isBand ? null : lit,
    -1
  );
  if (curve.reserved.length > 0) {
    marks.push({
      kind: 'line',
      x: across,
      y: twice(curve.reserved).map(y),
      width: 1.5,
      dash: [5, 3],
      color: look.text,
      clipped: true
    });
  }
  const sign = (moment: number, color: string) => {
    if (moment >= curve.at[0] && moment <= curve.at[curve.at.length - 1]) {
      const middle = x(placeOf(curve, moment) + (curve.byTime ? 0 : 0.5));
      marks.push(
        {
          kind: 'points',
          x: [middle],
          y: [7],
          radius: 5,
          shape: 'down',
          color
        },
        {
          kind: 'box',
          x: middle,
          y: 12,
          width: 1,
          height: frame.height + 2,
          color,
          opacity: 0.6
        }
      );
    }
  };
  sign(curve.peakAt, look.text);
  curve.failures.forEach(moment => sign(moment, alarm));
  const foot = frame.top + frame.height + 12;
  for (const part of [0, 0.5, 1]) {
    marks.push({
      kind: 'text',
      x: frame.left + frame.width * part,
      y: foot,
      text: when(places[0] + part * (places[places.length - 1] - places[0])),
      align: part === 0 ? 'start' : part === 1 ? 'end' : 'middle',
      color: look.faint
    });
  }
  let height = options.height;
  if (options.legend) {
    const rows: [string, string][] = curve.bands.map((band, place) => [
      options.legend!(band),
      colorOf(place)
    ]);
    rows.push([words.others, colorOf(-1)]);
    for (const [text, color] of rows) {
      const middle = height + LEGEND_PX / 2;
      marks.push(
        {
          kind: 'box',
          x: frame.left,
          y: middle - 5,
          width: 10,
          height: 10,
          color
        },
        { kind: 'text', x: frame.left + 16, y: middle, text, color: look.text }
      );
      height += LEGEND_PX;
    }
    height += 6;
  }
  return { width, height, frame, marks };
}

/** The position on the axis of a pixel of the picture. */
export function placeAt(
  curve: IMemoryCurve,
  frameWidth: number,
  pixel: number
): number {
  const part = Math.min(Math.max((pixel - LEFT_PX) / frameWidth, 0), 1);
  return curve.x[0] + part * (curve.end - curve.x[0]);
}

/** The pixel of a moment, from the left of the picture. */
export function pixelOf(
  curve: IMemoryCurve,
  frameWidth: number,
  moment: number
): number {
  const middle = placeOf(curve, moment) + (curve.byTime ? 0 : 0.5);
  return (
    LEFT_PX + (frameWidth * (middle - curve.x[0])) / (curve.end - curve.x[0])
  );
}

/** The width between the axes of a picture. */
export function innerWidth(width: number): number {
  return Math.max(width - LEFT_PX - 8, 10);
}

/**
 * The line whose band is at a position of the axis and a height in bytes; null
 * for none.
 */
export function lineAt(
  curve: IMemoryCurve,
  place: number,
  bytes: number
): number | null {
  const point = pointAt(curve.x, place);
  return (
    curve.bands.find(
      ({ low, high }) => bytes >= low[point] && bytes < high[point]
    )?.line ?? null
  );
}

/** The bytes at a height of the picture. */
export function bytesAt(
  curve: IMemoryCurve,
  height: number,
  pixel: number
): number {
  const most = Math.max(...curve.held, ...curve.reserved, 1) * 1.02;
  return most * (1 - (pixel - TOP_PX) / (height - TOP_PX - FOOT_PX));
}

/**
 * Values stay until the next point: each position appears twice, as the end of
 * one step and the start of the next.
 */
function stepped(places: ArrayLike<number>, end: number): number[] {
  const all: number[] = [];
  for (let at = 0; at < places.length; at++) {
    all.push(places[at], places[at + 1] ?? end);
  }
  return all;
}

function twice(values: Float64Array): number[] {
  const all: number[] = [];
  for (const value of values) {
    all.push(value, value);
  }
  return all;
}

/** Round sizes up to the largest, in powers of two. */
function ticks(most: number): number[] {
  const step = 2 ** Math.max(Math.ceil(Math.log2(most / LINES)), 0);
  return Array.from(
    { length: Math.floor(most / step) + 1 },
    (_, place) => place * step
  );
}
