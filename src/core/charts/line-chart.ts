/** Line charts of runs, for the panel and for cards. This module uses neither JupyterLab nor React. */
import type { IScale } from './axes';
import {
  axes,
  extent,
  lowerBound,
  numberScale,
  padded,
  projected,
  uprightTicks,
  valueText
} from './axes';
import { formatNumber } from '../format';
import { SceneView } from './scene-view';
import type { IFrame, ILook, IScene, Mark, Numbers } from './scene';
import { LETTER_PX, fitted } from './scene';

const ROW_PX = 14;
/** Least width of the labels of a y axis, so that charts below each other are aligned. */
const LABEL_PX = 46;

export interface ILine {
  readonly label: string;
  /** In any order; of equal values the last counts. */
  readonly x: readonly number[];
  /** One value for each x. The line skips values that are not finite. */
  readonly y: readonly (number | null)[];
  /** Draw points in place of a line. */
  readonly dots?: boolean;
}

/** A labelled position on the x axis, such as the first NaN. */
export interface IMark {
  readonly x: number;
  readonly label: string;
}

export interface ILineChart {
  readonly lines: readonly ILine[];
  /** Unit of x: numbers, whole numbers, seconds, or seconds since 1970. */
  readonly x?: 'linear' | 'count' | 'duration' | 'time';
  readonly marks?: readonly IMark[];
  /** Draw a sparkline without axes. */
  readonly bare?: boolean;
}

/** A chart that fills its host's width, follows its data and the theme, and shows the values at the pointer. */
export class LineChart {
  constructor(host: HTMLElement, height: number) {
    const canvas = host.appendChild(document.createElement('canvas'));
    this._canvas = canvas;
    this._view = new SceneView(canvas, (width, look) =>
      lineScene(this._chart, width, height, look, this._pointer)
    );
    canvas.addEventListener('pointermove', event => {
      this._pointer = event.offsetX;
      this._view.draw();
    });
    canvas.addEventListener('pointerleave', () => {
      this._pointer = null;
      this._view.draw();
    });
  }

  update(chart: ILineChart): void {
    this._chart = chart;
    this._view.draw();
  }

  dispose(): void {
    this._view.dispose();
    this._canvas.remove();
  }

  private _chart: ILineChart = { lines: [] };
  private _canvas: HTMLCanvasElement;
  private _pointer: number | null = null;
  private _view: SceneView;
}

/** The marks of a chart; `pointer` is the x pixel whose values are shown. */
export function lineScene(
  chart: ILineChart,
  width: number,
  height: number,
  look: ILook,
  pointer: number | null = null
): IScene {
  const { bare, marks: begins = [] } = chart;
  const lines = chart.lines.map(ordered);
  const [top, high] = bare ? [4, height - 8] : [8, height - 28];
  const y = numberScale(
    'linear',
    padded(extent(lines.map(line => line.y)) ?? [0, 1]),
    [top + high, top]
  );
  const letters = uprightTicks(y, high).map(({ text }) => text.length);
  const left = bare
    ? 0
    : Math.max(LABEL_PX, ...letters.map(count => count * LETTER_PX + 8));
  const frame = {
    left,
    top,
    width: Math.max(width - left - (bare ? 0 : 8), 20),
    height: high
  };
  const [first, last] = extent(lines.map(line => line.x)) ?? [0, 1];
  const scale = numberScale(
    chart.x === 'duration' ? 'duration' : 'linear',
    // Draw a single point in the middle.
    first === last ? [first - 1, last + 1] : [first, last],
    [frame.left, frame.left + frame.width]
  );
  const x: IScale =
    chart.x === 'count'
      ? {
          ...scale,
          ticks: count =>
            scale.ticks(count).filter(({ value }) => Number.isInteger(value))
        }
      : scale;
  const marks = bare ? [] : axes(frame, x, y, null, look);
  lines.forEach((line, place) => {
    const color = look.series[place % look.series.length];
    const at = thinned(projected(line, x, y));
    marks.push(
      chart.lines[place].dots || at.x.length === 1
        ? { kind: 'points', ...at, radius: 2.5, color }
        : { kind: 'line', ...at, width: 1.5, color, clipped: true }
    );
  });
  for (const { x: begin, label } of begins) {
    marks.push(...beginning(x.at(begin), label, frame, look));
  }
  if (pointer !== null) {
    marks.push(...reading(chart, lines, x, y, pointer, frame, look));
  }
  return { width, height, frame, marks };
}

interface IPoints {
  readonly x: Numbers;
  readonly y: Numbers;
}

/** The points with a finite value, in the order of x. */
function ordered({ x, y }: ILine): { x: number[]; y: number[] } {
  const isAscending = x.every((place, at) => at === 0 || place > x[at - 1]);
  if (!isAscending) {
    const byX = [...new Map(x.map((place, at) => [place, y[at]]))];
    byX.sort(([a], [b]) => a - b);
    x = byX.map(([place]) => place);
    y = byX.map(([, value]) => value);
  }
  const kept = { x: [] as number[], y: [] as number[] };
  y.forEach((value, at) => {
    if (value !== null && Number.isFinite(value)) {
      kept.x.push(x[at]);
      kept.y.push(value);
    }
  });
  return kept;
}

/** Keep the first, highest, lowest and last point of each pixel column: thousands of points look the same. */
function thinned({ x, y }: IPoints): IPoints {
  const kept = { x: [] as number[], y: [] as number[] };
  for (let begin = 0, end = 0; begin < x.length; begin = end) {
    let low = begin;
    let high = begin;
    for (
      const column = Math.floor(x[begin]);
      end < x.length && Math.floor(x[end]) === column;
      end++
    ) {
      low = y[end] < y[low] ? end : low;
      high = y[end] > y[high] ? end : high;
    }
    const most = [begin, Math.min(low, high), Math.max(low, high), end - 1];
    for (const at of new Set(most)) {
      kept.x.push(x[at]);
      kept.y.push(y[at]);
    }
  }
  return kept;
}

/** A vertical dashed line, with its label on the side with more space. */
function beginning(
  at: number,
  label: string,
  { left, top, width, height }: IFrame,
  look: ILook
): Mark[] {
  if (!(at >= left && at <= left + width)) {
    return [];
  }
  const fits = at + 4 + label.length * LETTER_PX <= left + width;
  return [
    {
      kind: 'line',
      x: [at, at],
      y: [top, top + height],
      width: 1,
      dash: [4, 3],
      color: look.error
    },
    {
      kind: 'text',
      x: at + (fits ? 4 : -4),
      y: top + 6,
      text: label,
      align: fits ? 'start' : 'end',
      bold: true,
      color: look.error
    }
  ];
}

/** The values nearest to the pointer, next to a vertical line. */
function reading(
  chart: ILineChart,
  lines: readonly IPoints[],
  x: IScale,
  y: IScale,
  pointer: number,
  { left, top, width, height }: IFrame,
  look: ILook
): Mark[] {
  const wanted = x.from(pointer);
  const isNearer = (one: number, other: number) =>
    Math.abs(one - wanted) < Math.abs(other - wanted);
  const places = lines.map(line => {
    const next = lowerBound(line.x, wanted);
    return next > 0 && !isNearer(line.x[next], line.x[next - 1])
      ? next - 1
      : next;
  });
  const [here] = lines
    .flatMap((line, at) => line.x[places[at]] ?? [])
    .sort((one, other) => (isNearer(one, other) ? -1 : 1));
  if (here === undefined) {
    return [];
  }
  const at = x.at(here);
  const unit = chart.x === 'count' ? 'linear' : (chart.x ?? 'linear');
  const texts = [{ text: valueText(unit, here), color: look.faint }];
  const marks: Mark[] = [
    {
      kind: 'line',
      x: [at, at],
      y: [top, top + height],
      width: 1,
      color: look.faint
    }
  ];
  lines.forEach((line, place) => {
    if (line.x[places[place]] !== here) {
      return;
    }
    const value = line.y[places[place]];
    const color = look.series[place % look.series.length];
    const name = lines.length > 1 ? `${chart.lines[place].label} ` : '';
    texts.push({ text: `${name}${formatNumber(value)}`, color });
    marks.push({ kind: 'points', x: [at], y: [y.at(value)], radius: 3, color });
  });
  const isLeft = at < left + width / 2;
  const room = (isLeft ? left + width - at : at - left) - 16;
  const rows = texts.map(({ text, color }) => ({
    text: fitted(text, room),
    color
  }));
  const wide = Math.max(...rows.map(({ text }) => text.length)) * LETTER_PX + 8;
  const start = isLeft ? at + 6 : at - 6 - wide;
  marks.push({
    kind: 'box',
    x: start,
    y: 0,
    width: wide,
    height: rows.length * ROW_PX + 2,
    color: look.background,
    opacity: 0.85
  });
  rows.forEach(({ text, color }, row) =>
    marks.push({
      kind: 'text',
      x: start + 4,
      y: (row + 0.5) * ROW_PX + 1,
      text,
      color
    })
  );
  return marks;
}
