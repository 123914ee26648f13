/**
 * A picture as marks at places, in pixels: the screen, a PNG and an SVG draw the same ones.
 */
export type Numbers = ArrayLike<number>;

export type Mark = (
  | {
      kind: 'line';
      x: Numbers;
      /** NaN lifts the pen. */
      y: Numbers;
      width: number;
      dash?: readonly number[];
    }
  | {
      /** What lies between two heights. */
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
      /** One a point; by default the mark's own. */
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
      /** Reads from below to above. */
      turned?: boolean;
    }
) & {
  color: string;
  opacity?: number;
  /** Inside the frame alone. */
  clipped?: boolean;
};

/** Where the data lie. */
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

/** The colours and letters of the theme that holds. */
export interface ILook {
  readonly text: string;
  readonly faint: string;
  readonly grid: string;
  readonly accent: string;
  /** Of what went wrong. */
  readonly error: string;
  /** Of a chart's lines, one after the other. */
  readonly series: readonly string[];
  readonly background: string;
  readonly font: string;
}

export const FONT_PX = 11;
/** Of one letter, about. */
export const LETTER_PX = 6.2;

/** A text that fits, about. */
export function fitted(text: string, pixels: number): string {
  const most = Math.max(Math.floor(pixels / LETTER_PX), 2);
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}
