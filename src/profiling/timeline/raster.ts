/**
 * Draw slices as pixels. A canvas rectangle takes microseconds; here an item
 * takes some nanoseconds, so that a full screen is drawn within a frame without
 * a GPU.
 */
import type { ITheme } from './colors';
import { SHADES } from './colors';
import type { ITile } from './tiles';

/** The position of a tile. Device pixels. */
export interface IStretch {
  /** Position of nanosecond 0. */
  readonly origin: number;
  readonly pxPerNs: number;
  /** Nothing is drawn outside `from` to `to`. */
  readonly from: number;
  readonly to: number;
}

/**
 * One line of pixels per row of a lane, copied down to the rows' height when
 * all tiles are in.
 */
export class LaneRaster {
  /** Start a lane of `rows` rows. */
  begin(rows: number, width: number, background: number): void {
    const size = rows * width;
    if (this._lines.length < size) {
      this._lines = new Uint32Array(size);
    }
    this._lines.fill(background, 0, size);
    this._rows = rows;
    this._width = width;
  }

  /**
   * Draw a tile's items. `matches` says for each name whether the search
   * matches it; null without a search.
   */
  add(
    tile: ITile,
    stretch: IStretch,
    theme: Pick<ITheme, 'pixels' | 'dimmed' | 'backgroundPixel'>,
    matches: Uint8Array | null
  ): void {
    const { start, dur, covered, name, count, row } = tile;
    const { pxPerNs } = stretch;
    const from = Math.max(0, Math.floor(stretch.from));
    const to = Math.min(this._width, Math.ceil(stretch.to));
    const zero = stretch.origin + tile.first * pxPerNs;
    const lines = this._lines;
    for (let at = 0; at < start.length; at++) {
      if (row[at] >= this._rows) {
        continue;
      }
      const left = zero + start[at] * pxPerNs;
      const length = dur[at] * pxPerNs;
      let first = Math.floor(left);
      let end = Math.max(first + 1, Math.floor(left + length));
      if (first >= to || end <= from) {
        continue;
      }
      const gap = end - first > 3 && end <= to;
      first = Math.max(first, from);
      end = Math.min(end, to);
      const share = count[at] > 1 || length < 1 ? fill(covered[at], length) : 1;
      const shade = Math.min(SHADES - 1, Math.floor(share * SHADES));
      const found = !matches || matches[name[at]] === 1;
      const pixel = (found ? theme.pixels : theme.dimmed)[
        name[at] * SHADES + shade
      ];
      const base = row[at] * this._width;
      lines.fill(pixel, base + first, base + end);
      if (gap) {
        lines[base + end - 1] = theme.backgroundPixel;
      }
    }
  }

  /**
   * Copy the rows into a picture, `rowPx` high each with a line between them,
   * from `top`.
   */
  copy(
    picture: Uint32Array,
    height: number,
    top: number,
    rowPx: number,
    gapPx: number
  ): void {
    const width = this._width;
    for (let row = 0; row < this._rows; row++) {
      const line = this._lines.subarray(row * width, (row + 1) * width);
      const begin = Math.max(0, top + row * rowPx);
      const end = Math.min(height, top + (row + 1) * rowPx - gapPx);
      for (let y = begin; y < end; y++) {
        picture.set(line, y * width);
      }
    }
  }

  private _lines = new Uint32Array(0);
  private _rows = 0;
  private _width = 0;
}

/** The share of its pixels that an item fills. */
function fill(covered: number, length: number): number {
  return covered * Math.min(1, length);
}
