import type { ILook, IScene, Mark } from '../../../charts/drawing/scene';
import { fitted } from '../../../charts/drawing/scene';
import type { IFlame } from '../../service';

import type { IFlameLayout, IFrame } from './layout';
import { WHOLE } from './layout';

export const ROW_PX = 20;
/** A name is drawn where a few letters fit. */
const NAMED_PX = 34;

/** How a frame is named; one without a name holds what is too small to be seen. */
export interface IFlameWords {
  readonly all: string;
  readonly other: string;
}

export function flameScene(options: {
  flame: IFlame;
  layout: IFlameLayout;
  width: number;
  look: ILook;
  colorOf: (kind: string) => string;
  words: IFlameWords;
  /** Nodes that stand out; the others are faint. */
  found: ReadonlySet<number> | null;
  selected: number;
}): IScene {
  const { flame, layout, width, look, colorOf, words, found } = options;
  const marks: Mark[] = [];
  for (const frame of layout.frames) {
    const { x, y, width: across } = placeOf(frame, width);
    const kind = frame.node === WHOLE ? 'thread' : flame.nodes[frame.node].kind;
    const faint = found !== null && !found.has(frame.node);
    if (frame.node === options.selected) {
      marks.push({
        kind: 'box',
        x,
        y,
        width: across,
        height: ROW_PX,
        color: look.accent
      });
    }
    const edge = frame.node === options.selected ? 2 : 0.5;
    marks.push({
      kind: 'box',
      x: x + edge,
      y: y + edge,
      width: Math.max(across - 2 * edge, 0.5),
      height: ROW_PX - 2 * edge,
      color: colorOf(kind),
      opacity: faint ? 0.3 : 1
    });
    if (across >= NAMED_PX) {
      marks.push({
        kind: 'text',
        x: x + 5,
        y: y + ROW_PX / 2,
        text: fitted(nameOf(flame, frame.node, words), across - 10),
        color: look.text,
        opacity: faint ? 0.5 : 1
      });
    }
  }
  const height = layout.depth * ROW_PX;
  return {
    width,
    height,
    frame: { left: 0, top: 0, width, height },
    marks
  };
}

export function nameOf(
  flame: IFlame,
  node: number,
  words: IFlameWords
): string {
  return node === WHOLE
    ? words.all
    : flame.nodes[node].name.replace(/^aten::/, '') || words.other;
}

export function frameAt(
  { frames }: IFlameLayout,
  width: number,
  x: number,
  y: number
): IFrame | undefined {
  const depth = Math.floor(y / ROW_PX);
  const share = x / width;
  return frames.find(
    frame =>
      frame.depth === depth &&
      share >= frame.left &&
      share < frame.left + frame.width
  );
}

function placeOf(
  { left, width: share, depth }: IFrame,
  width: number
): { x: number; y: number; width: number } {
  return { x: left * width, y: depth * ROW_PX, width: share * width };
}
