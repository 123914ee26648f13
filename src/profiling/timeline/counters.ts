/**
 * Draw counters as steps: a line with an area, and minimum and maximum where
 * samples share a pixel.
 */
import type { ITheme } from './colors';
import type { IStretch } from './raster';
import type { ICounterLane } from './service';
import type { ITile } from './tiles';

/** The values at the bottom and the top of a counter's lane. */
export interface IScale {
  readonly bottom: number;
  readonly top: number;
}

/**
 * The scale starts at 0, unless all values are close together and far from 0.
 */
export function scaleOf({
  least,
  most
}: Pick<ICounterLane, 'least' | 'most'>): IScale {
  const room = (most - least) / 4;
  const far = Math.max(Math.abs(least), Math.abs(most)) / 2;
  if (room > 0 && least > far) {
    return { bottom: least - room, top: most };
  }
  if (room > 0 && most < -far) {
    return { bottom: least, top: most + room };
  }
  const [bottom, top] = [Math.min(least, 0), Math.max(most, 0)];
  return bottom === top ? { bottom, top: bottom + 1 } : { bottom, top };
}

/** Format a value with its unit. */
export function formatValue(value: number, unit = ''): string {
  const text = value.toLocaleString(undefined, { maximumSignificantDigits: 6 });
  return unit ? `${text} ${unit}` : text;
}

/** The samples of a lane, one column of pixels each. */
export class CounterRaster {
  /** Start a lane. */
  begin(width: number): void {
    if (this._last.length < width) {
      this._low = new Float64Array(width);
      this._high = new Float64Array(width);
      this._last = new Float64Array(width);
    }
    this._last.fill(NaN, 0, width);
    this._width = width;
  }

  /** Add the samples of a tile. */
  add(tile: ITile, stretch: IStretch): void {
    const { start, dur, count, values } = tile;
    if (!values) {
      return;
    }
    const { low, high, last } = values;
    const { pxPerNs } = stretch;
    const from = Math.max(0, Math.floor(stretch.from));
    const to = Math.min(this._width, Math.ceil(stretch.to));
    const zero = stretch.origin + tile.first * pxPerNs;
    const cell = Math.max(1, Math.ceil(2 ** tile.key.level * pxPerNs));
    for (let at = 0; at < start.length; at++) {
      const first = Math.floor(zero + start[at] * pxPerNs);
      const end = Math.max(first + 1, zero + (start[at] + dur[at]) * pxPerNs);
      if (first >= to || end <= from) {
        continue;
      }
      const stop = Math.min(to, Math.ceil(end));
      const run = Math.min(stop, count[at] > 1 ? first + cell : first + 1);
      for (let x = Math.max(first, from); x < stop; x++) {
        // Another sample may be in the pixel of its start.
        const shared = x === first && !Number.isNaN(this._last[x]);
        const [least, most] =
          x < run ? [low[at], high[at]] : [last[at], last[at]];
        this._low[x] = shared ? Math.min(this._low[x], least) : least;
        this._high[x] = shared ? Math.max(this._high[x], most) : most;
        this._last[x] = last[at];
      }
    }
  }

  /** Draw into a picture, from `top`. Device pixels. */
  copy(
    picture: Uint32Array,
    pictureHeight: number,
    top: number,
    height: number,
    linePx: number,
    scale: IScale,
    { line, area }: ITheme['counter']
  ): void {
    const room = height - linePx;
    const y = (value: number) => {
      const share = (value - scale.bottom) / (scale.top - scale.bottom);
      return top + Math.round((1 - share) * room);
    };
    const ground = y(Math.min(Math.max(0, scale.bottom), scale.top));
    const fill = (x: number, begin: number, end: number, pixel: number) => {
      const stop = Math.min(pictureHeight, end);
      for (let at = Math.max(0, begin); at < stop; at++) {
        picture[at * this._width + x] = pixel;
      }
    };
    for (let x = 0; x < this._width; x++) {
      const last = this._last[x];
      if (Number.isNaN(last)) {
        continue;
      }
      // A step is drawn as a line from the previous value.
      const before = x > 0 ? this._last[x - 1] : NaN;
      const low = Math.min(this._low[x], Number.isNaN(before) ? last : before);
      const high = Math.max(
        this._high[x],
        Number.isNaN(before) ? last : before
      );
      const own = y(last);
      fill(x, Math.min(own, ground), Math.max(own, ground) + linePx, area);
      fill(x, y(high), y(low) + linePx, line);
    }
  }

  private _low = new Float64Array(0);
  private _high = new Float64Array(0);
  /** NaN where there is no sample. */
  private _last = new Float64Array(0);
  private _width = 0;
}
