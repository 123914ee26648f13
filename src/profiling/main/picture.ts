/** Bars of parts as a picture: the screen and the PNG draw the same marks. */
import type { IFrame, ILook, IScene, Mark } from '../../core/charts/scene';
import { LETTER_PX, fitted } from '../../core/charts/scene';
import { formatMicroseconds } from '../figures';

import type { IBar, IPart } from './parts';

const ROW_PX = 26;
const BAR_PX = 16;
const LEAST_LABEL_PX = 40;
const MOST_LABEL_PX = 150;
const FIGURE_PX = 70;
const LEGEND_PX = 18;

/** A drawn part. */
export interface IDrawnPart {
  readonly bar: IBar;
  readonly part: IPart;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface IBarsPicture {
  readonly scene: IScene;
  readonly parts: readonly IDrawnPart[];
}

/** The parts of all bars, each once, in order. */
export function partsShown(bars: readonly IBar[]): IPart[] {
  const shown = new Map<string, IPart>();
  for (const part of bars.flatMap(({ parts }) => parts)) {
    if (part.us > 0 && !shown.has(part.id)) {
      shown.set(part.id, part);
    }
  }
  return [...shown.values()];
}

export function lengthOf(bar: IBar): number {
  return bar.parts.reduce((sum, { us }) => sum + us, 0);
}

/** All bars on one scale; `legend` for a picture outside the page. */
export function barsPicture(options: {
  bars: readonly IBar[];
  width: number;
  look: ILook;
  colorOf: (part: string) => string;
  legend?: boolean;
}): IBarsPicture {
  const { bars, width, look, colorOf, legend = false } = options;
  const longest = Math.max(...bars.map(lengthOf), Number.MIN_VALUE);
  const left = Math.min(
    MOST_LABEL_PX,
    Math.max(
      LEAST_LABEL_PX,
      ...bars.map(({ label }) => label.length * LETTER_PX + 10)
    )
  );
  const across = Math.max(40, width - left - FIGURE_PX);
  const marks: Mark[] = [];
  const drawn: IDrawnPart[] = [];
  bars.forEach((bar, row) => {
    const y = row * ROW_PX + (ROW_PX - BAR_PX) / 2;
    const middle = y + BAR_PX / 2;
    marks.push({
      kind: 'text',
      x: left - 8,
      y: middle,
      text: fitted(bar.label, left - 8),
      align: 'end',
      color: look.text
    });
    let x = left;
    for (const part of bar.parts) {
      const length = (part.us / longest) * across;
      if (length > 0) {
        const place = { x, y, width: length, height: BAR_PX };
        marks.push({
          kind: 'box',
          ...place,
          // A line of the background between parts, if there is space.
          width: length > 3 ? length - 1 : length,
          color: colorOf(part.id),
          ...(bar.faint && { opacity: 0.45 })
        });
        drawn.push({ bar, part, ...place });
        x += length;
      }
    }
    marks.push({
      kind: 'text',
      x: x + 6,
      y: middle,
      text: formatMicroseconds(lengthOf(bar)),
      color: look.faint
    });
  });
  let height = bars.length * ROW_PX;
  if (legend) {
    height += 6;
    for (const part of partsShown(bars)) {
      const y = height + LEGEND_PX / 2;
      marks.push(
        {
          kind: 'box',
          x: left,
          y: y - 5,
          width: 10,
          height: 10,
          color: colorOf(part.id)
        },
        { kind: 'text', x: left + 16, y, text: part.label, color: look.text }
      );
      height += LEGEND_PX;
    }
    height += 6;
  }
  const frame: IFrame = { left, top: 0, width: across, height };
  return { scene: { width, height, frame, marks }, parts: drawn };
}

/** The part at a position of the picture. */
export function partAt(
  parts: readonly IDrawnPart[],
  x: number,
  y: number
): IDrawnPart | undefined {
  return parts.find(
    each =>
      x >= each.x &&
      x <= each.x + each.width &&
      y >= each.y &&
      y <= each.y + each.height
  );
}
