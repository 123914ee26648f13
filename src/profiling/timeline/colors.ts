/** Colours of slices by kind and name, from the theme. */
import { asRgb, readLook } from '../../core/charts/look';
import type { ILook } from '../../core/charts/scene';

/** Number of name colours in the style sheet. */
const NAME_COLORS = 6;

export type Rgb = readonly [number, number, number];

/** Numbers of the engine. */
enum Kind {
  OTHER,
  OPERATOR,
  PYTHON,
  ANNOTATION,
  DEVICE_ANNOTATION,
  RUNTIME,
  OVERHEAD,
  WAIT,
  COMPUTE,
  COMMUNICATION,
  COPY,
  FILL
}

/**
 * Shades of a colour over the background: a run is fainter if its slices cover
 * less of it.
 */
export const SHADES = 8;

export interface ITheme extends ILook {
  /** Pixels of a counter, and of the area below its line. */
  readonly counter: { readonly line: number; readonly area: number };
  readonly backgroundPixel: number;
  /**
   * The pixel of `name * SHADES + shade`; the last shade is the colour itself.
   */
  readonly pixels: Uint32Array;
  /** The same for names that do not match a search. */
  readonly dimmed: Uint32Array;
  /** Text colours on the colours of names. */
  readonly textOn: readonly string[];
}

/** The theme at a node, for these names. */
export function readTheme(
  node: HTMLElement,
  names: readonly string[],
  kinds: Int8Array
): ITheme {
  const style = getComputedStyle(node);
  const look = readLook(node);
  const read = (variable: string, fallback: string) =>
    style.getPropertyValue(variable).trim() || fallback;
  const { faint } = look;
  const back = rgbOf(look.background);
  const light = read('--jp-ui-inverse-font-color0', 'white');
  const dark = read('--jp-ui-font-color0', 'black');
  const copy = rgbOf(read('--gol-slice-copy', 'green'));
  const base = Array.from({ length: NAME_COLORS }, (_, at) =>
    rgbOf(read(`--gol-slice-name-${at}`, 'steelblue'))
  );
  const ofKind: Partial<Record<Kind, Rgb>> = {
    [Kind.COMMUNICATION]: rgbOf(read('--gol-slice-communication', 'orange')),
    [Kind.COPY]: copy,
    [Kind.FILL]: copy,
    [Kind.RUNTIME]: rgbOf(faint),
    [Kind.OVERHEAD]: rgbOf(faint),
    [Kind.WAIT]: rgbOf(faint)
  };
  const pixels = new Uint32Array(names.length * SHADES);
  const dimmed = new Uint32Array(names.length * SHADES);
  const textOn = names.map((name, at) => {
    // All steps have one colour.
    const hash = hashOf(name.replace(/#\d+$/, ''));
    const own = ofKind[kinds[at] as Kind] ?? base[hash % base.length];
    // Three tones of each colour distinguish more names.
    const color = mixed(back, own, 0.85 - 0.15 * ((hash >>> 8) % 3));
    for (let shade = 0; shade < SHADES; shade++) {
      const strength = 0.35 + (0.65 * (shade + 1)) / SHADES;
      pixels[at * SHADES + shade] = pixelOf(mixed(back, color, strength));
      dimmed[at * SHADES + shade] = pixelOf(mixed(back, color, strength / 5));
    }
    return contrast(rgbOf(light), color) > contrast(rgbOf(dark), color)
      ? light
      : dark;
  });
  return {
    ...look,
    counter: {
      line: pixelOf(mixed(back, rgbOf(look.accent), 0.9)),
      area: pixelOf(mixed(back, rgbOf(look.accent), 0.25))
    },
    backgroundPixel: pixelOf(back),
    pixels,
    dimmed,
    textOn
  };
}

export function mixed(under: Rgb, over: Rgb, share: number): Rgb {
  const part = (at: 0 | 1 | 2) =>
    Math.round(under[at] + (over[at] - under[at]) * share);
  return [part(0), part(1), part(2)];
}

/** WCAG 2.2 contrast, from 1 to 21. */
export function contrast(one: Rgb, other: Rgb): number {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

function luminance(rgb: Rgb): number {
  const [red, green, blue] = rgb.map(each => {
    const part = each / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** In the byte order of ImageData on a little-endian machine. */
function pixelOf([red, green, blue]: Rgb): number {
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

function rgbOf(color: string): Rgb {
  const parts =
    asRgb(color)
      .match(/[\d.]+/g)
      ?.map(Number) ?? [];
  return [parts[0] ?? 128, parts[1] ?? 128, parts[2] ?? 128];
}

/** FNV-1a. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  }
  return hash >>> 0;
}
