/** Unpacks histories, and merges new points into them. */
import { lowerBound } from '../../core/charts/axes';

import type { IRunHistory } from './service';

export interface ILine {
  readonly x: Float64Array;
  /** May be NaN (a gap) or infinite. */
  readonly y: Float64Array;
}

/** The known history of one run. */
export interface IHistory extends ILine {
  readonly smooth: ILine;
  readonly mark: string;
  readonly points: number;
  readonly gaps: number;
  readonly infinite: number;
  readonly repeated: number;
  readonly backwards: number;
  readonly first: number | null;
  readonly last: number | null;
}

/** Return numbers from base64 of float64, little-endian. */
export function unpacked(text: string): Float64Array {
  const binary = atob(text);
  const view = new DataView(new ArrayBuffer(binary.length));
  for (let at = 0; at < binary.length; at++) {
    view.setUint8(at, binary.charCodeAt(at));
  }
  const numbers = new Float64Array(binary.length / 8);
  for (let at = 0; at < numbers.length; at++) {
    numbers[at] = view.getFloat64(at * 8, true);
  }
  return numbers;
}

/** Append an answer to the part that it leaves unchanged. */
export function merged(
  known: IHistory | undefined,
  answer: IRunHistory
): IHistory {
  const from = known ? (answer.from_x ?? null) : null;
  const join = (before: ILine | undefined, x = '', y = ''): ILine => {
    const more = { x: unpacked(x), y: unpacked(y) };
    if (!before || from === null) {
      return more;
    }
    const end = lowerBound(before.x, from);
    return {
      x: joined(before.x.subarray(0, end), more.x),
      y: joined(before.y.subarray(0, end), more.y)
    };
  };
  return {
    ...join(known, answer.x, answer.y),
    smooth: join(known?.smooth, answer.smooth_x, answer.smooth_y),
    mark: answer.mark,
    points: answer.points ?? 0,
    gaps: answer.gaps ?? 0,
    infinite: answer.infinite ?? 0,
    repeated: answer.repeated ?? 0,
    backwards: answer.backwards ?? 0,
    first: answer.first ?? null,
    last: answer.last ?? null
  };
}

function joined(a: Float64Array, b: Float64Array): Float64Array {
  const all = new Float64Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}
