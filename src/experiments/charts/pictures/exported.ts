/** Exports a picture with its title above and its keys below. */
import type { IScene, Mark } from '../../../core/charts/scene';
import { LETTER_PX, fitted } from '../../../core/charts/scene';

import type { IKey } from './picture';

const TITLE_PX = 28;
const KEY_PX = 16;
const MOST_KEYS = 40;

/** Return the scene with its title and keys around it. */
export function exported(
  scene: IScene,
  title: string,
  keys: readonly IKey[],
  color: string
): IScene {
  const marks: Mark[] = scene.marks.map(mark => lowered(mark, TITLE_PX));
  marks.push({
    kind: 'text',
    x: 12,
    y: TITLE_PX / 2,
    text: fitted(title, scene.width - 24),
    bold: true,
    color
  });
  let x = 12;
  let y = TITLE_PX + scene.height + KEY_PX / 2;
  for (const key of keys.slice(0, MOST_KEYS)) {
    const label = fitted(key.label, scene.width - 40);
    const width = label.length * LETTER_PX + 30;
    if (x > 12 && x + width > scene.width) {
      x = 12;
      y += KEY_PX;
    }
    marks.push(
      { kind: 'box', x, y: y - 4, width: 12, height: 8, color: key.color },
      { kind: 'text', x: x + 17, y, text: label, color }
    );
    x += width;
  }
  const { frame } = scene;
  return {
    width: scene.width,
    height: keys.length > 0 ? y + KEY_PX : scene.height + TITLE_PX,
    frame: { ...frame, top: frame.top + TITLE_PX },
    marks
  };
}

function lowered(mark: Mark, by: number): Mark {
  if (mark.kind === 'area') {
    const [low, high] = [mark.low, mark.high].map(heights =>
      Array.from(heights, height => height + by)
    );
    return { ...mark, low, high };
  }
  return mark.kind === 'line' || mark.kind === 'points'
    ? { ...mark, y: Array.from(mark.y, y => y + by) }
    : { ...mark, y: mark.y + by };
}
