/**
 * The flame graph as a PNG: the frames of the screen in its colours, as marks.
 */
import type { ILook, IScene, Mark } from '../../../core/charts/scene';
import { fitted } from '../../../core/charts/scene';

export interface IShownFrame {
  /** The library's element. */
  readonly node: SVGGElement;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly selected: boolean;
}

/**
 * The library's own picture has names as HTML, which not every canvas takes
 * from an SVG.
 */
export function flameScene(
  frames: readonly IShownFrame[],
  width: number,
  look: ILook
): IScene {
  const marks: Mark[] = [];
  let bottom = 0;
  for (const { node, selected, ...place } of frames) {
    const { fill, fillOpacity } = getComputedStyle(node.querySelector('rect')!);
    if (selected) {
      marks.push({ kind: 'box', ...place, color: look.accent });
    }
    const edge = selected ? 2 : 0.5;
    const inside = {
      x: place.x + edge,
      y: place.y + edge,
      width: Math.max(place.width - 2 * edge, 0.5),
      height: place.height - 2 * edge
    };
    marks.push(
      { kind: 'box', ...inside, color: look.background },
      { kind: 'box', ...inside, color: fill, opacity: Number(fillOpacity) }
    );
    if (node.classList.contains('gol-mod-named')) {
      marks.push({
        kind: 'text',
        x: place.x + 5,
        y: place.y + place.height / 2,
        text: fitted(node.getAttribute('name') ?? '', place.width - 10),
        color: look.text,
        opacity: Number(getComputedStyle(node.querySelector('div')!).opacity)
      });
    }
    bottom = Math.max(bottom, place.y + place.height);
  }
  const frame = { left: 0, top: 0, width, height: bottom };
  return { width, height: bottom, frame, marks };
}
