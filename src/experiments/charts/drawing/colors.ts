/** Colours of runs and values, the same over all cards. */
import { readColors } from '../../../core/palette';
import { runColors } from '../../table/run-color';

import type { ILook } from './scene';

/** The theme that holds at a node. */
export function readLook(node: HTMLElement): ILook {
  const style = getComputedStyle(node);
  const read = (name: string, fallback: string) =>
    style.getPropertyValue(name).trim() || fallback;
  const { grid, text } = readColors(node);
  return {
    text: read('--jp-ui-font-color1', text),
    faint: text,
    grid,
    accent: read('--jp-brand-color1', '#2f7fd3'),
    background: read('--jp-layout-color1', 'white'),
    font: style.fontFamily || 'sans-serif'
  };
}

const DASHES: readonly (readonly number[])[] = [
  [],
  [6, 3],
  [2, 2],
  [8, 3, 2, 3]
];

/** How each run's line looks: its colour wherever it is shown, and dashes where two have one colour. */
export function runLooks(
  ids: readonly string[]
): Map<string, { color: string; dash: readonly number[] }> {
  const used = new Map<string, number>();
  return new Map(
    ids.map(id => {
      const color = runColors.of(id);
      const before = used.get(color) ?? 0;
      used.set(color, before + 1);
      return [id, { color, dash: DASHES[before % DASHES.length] }] as const;
    })
  );
}

/** Of a share from 0 to 1, from violet over blue and green to yellow; told from both backgrounds. */
export function scaleColor(share: number): string {
  const at = Math.round(Math.min(Math.max(share, 0), 1) * 32) / 32;
  return `oklch(${(50 + 22 * at).toFixed(1)}% 0.15 ${(310 - 225 * at).toFixed(0)})`;
}

/** Of the numbered word of a list. */
export function wordColor(number: number): string {
  const hues = [255, 50, 145, 350, 85, 195, 310, 25];
  return `oklch(65% 0.15 ${hues[number % hues.length]})`;
}

const known = new Map<string, string>();

/** A colour as `rgb(...)`, which every program knows, where the browser can tell. */
export function asRgb(color: string): string {
  const found = known.get(color);
  if (found !== undefined) {
    return found;
  }
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = 1;
  const context = canvas.getContext('2d');
  if (!context) {
    return color;
  }
  context.fillStyle = color;
  context.fillRect(0, 0, 1, 1);
  const [red, green, blue, alpha] = context.getImageData(0, 0, 1, 1).data;
  const told =
    alpha === 255
      ? `rgb(${red}, ${green}, ${blue})`
      : `rgba(${red}, ${green}, ${blue}, ${(alpha / 255).toFixed(2)})`;
  known.set(color, told);
  return told;
}
