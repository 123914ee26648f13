/**
 * A picture as marks with positions in pixels, which a canvas, a PNG and an SVG draw alike.
 */
export type Numbers = ArrayLike<number>;

export type Mark = (
  | {
      kind: 'line';
      x: Numbers;
      /** NaN interrupts the line. */
      y: Numbers;
      width: number;
      dash?: readonly number[];
    }
  | {
      /** The area between two heights. */
      kind: 'area';
      x: Numbers;
      low: Numbers;
      high: Numbers;
    }
  | {
      kind: 'points';
      x: Numbers;
      y: Numbers;
      radius: number;
      /** A colour for each point; default: the mark's colour. */
      colors?: readonly string[];
      shape?: 'circle' | 'up' | 'down';
    }
  | { kind: 'box'; x: number; y: number; width: number; height: number }
  | {
      kind: 'text';
      x: number;
      y: number;
      text: string;
      align?: 'start' | 'middle' | 'end';
      bold?: boolean;
      /** Rotated to read from bottom to top. */
      turned?: boolean;
    }
) & {
  color: string;
  opacity?: number;
  /** Clipped to the frame. */
  clipped?: boolean;
};

/** The plot area. */
export interface IFrame {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

export interface IScene {
  readonly width: number;
  readonly height: number;
  readonly frame: IFrame;
  readonly marks: readonly Mark[];
}

/** The colours and font of the current theme. */
export interface ILook {
  readonly text: string;
  readonly faint: string;
  readonly grid: string;
  readonly accent: string;
  /** Colour of errors. */
  readonly error: string;
  /** Colours of a chart's lines, in order. */
  readonly series: readonly string[];
  readonly background: string;
  readonly font: string;
}

export const FONT_PX = 11;
/** Approximate width of a letter, in pixels. */
export const LETTER_PX = 6.2;

/** Shorten a text to about this width. */
export function fitted(text: string, pixels: number): string {
  const most = Math.max(Math.floor(pixels / LETTER_PX), 2);
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}
