import type { ITileKey, ITimelineTile } from './service';
import type { IViewport } from './viewport';

/** Cells of a tile on the server. */
export const TILE_CELLS = 512;
const LAST_LEVEL = 52;
/** Levels above that stand in until a tile is loaded. */
const COARSER = 12;
const FINER = 2;

/** The drawn items of a lane in a period; see TimelineTile of the API. */
export interface ITile {
  readonly key: ITileKey;
  /** Nanoseconds, like `start` and `dur`. */
  readonly first: number;
  readonly start: Float32Array;
  readonly dur: Float32Array;
  readonly covered: Float32Array;
  readonly name: Int32Array;
  readonly slice: Int32Array;
  readonly count: Int32Array;
  readonly row: Uint8Array;
  /** The least, largest and last value of a counter's items. */
  readonly values?: {
    readonly low: Float64Array;
    readonly high: Float64Array;
    readonly last: Float64Array;
  };
  readonly bytes: number;
}

export function keyOf({ lane, level, index }: ITileKey): string {
  return `${lane}/${level}/${index}`;
}

/**
 * Bytes of base64; typed arrays are little-endian on all supported browsers.
 */
export function bytesOf(text: string): ArrayBuffer {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) {
    bytes[at] = binary.charCodeAt(at);
  }
  return bytes.buffer;
}

export function tileOf(answer: ITimelineTile): ITile {
  const { lane, level, index } = answer;
  const start = new Float32Array(bytesOf(answer.start));
  return {
    key: { lane, level, index },
    first: index * tileLength(level),
    start,
    dur: new Float32Array(bytesOf(answer.dur)),
    covered: new Float32Array(bytesOf(answer.covered)),
    name: new Int32Array(bytesOf(answer.name)),
    slice: new Int32Array(bytesOf(answer.slice)),
    count: new Int32Array(bytesOf(answer.count)),
    row: new Uint8Array(bytesOf(answer.row)),
    values: answer.last
      ? {
          low: new Float64Array(bytesOf(answer.low ?? '')),
          high: new Float64Array(bytesOf(answer.high ?? '')),
          last: new Float64Array(bytesOf(answer.last))
        }
      : undefined,
    // An empty tile is cached too.
    bytes: 400 + start.length * (answer.last ? 49 : 25)
  };
}

/** Length of a tile of a level, in nanoseconds. */
export function tileLength(level: number): number {
  return TILE_CELLS * 2 ** level;
}

/** The level whose cells are at most a pixel. */
export function levelOf({ nsPerPx }: IViewport): number {
  return Math.min(Math.max(Math.floor(Math.log2(nsPerPx)), 0), LAST_LEVEL);
}

/**
 * First and last visible tile of a lane from `first` to `last`; null if none is
 * visible.
 */
export function shownTiles(
  view: IViewport,
  level: number,
  first: number,
  last: number
): readonly [number, number] | null {
  const from = Math.max(view.start, first, 0);
  const to = Math.min(view.start + view.width * view.nsPerPx, last);
  const length = tileLength(level);
  return from > to
    ? null
    : [Math.floor(from / length), Math.floor(to / length)];
}

/** Recently used tiles, limited by their bytes. */
export class TileCache {
  constructor(private _mostBytes: number) {}

  get bytes(): number {
    return this._bytes;
  }

  get(key: ITileKey): ITile | undefined {
    const name = keyOf(key);
    const tile = this._tiles.get(name);
    if (tile) {
      // A Map keeps the order of insertion: its first entry is the least
      // recently used.
      this._tiles.delete(name);
      this._tiles.set(name, tile);
    }
    return tile;
  }

  has(key: ITileKey): boolean {
    return this._tiles.has(keyOf(key));
  }

  put(tile: ITile): void {
    const name = keyOf(tile.key);
    this._bytes += tile.bytes - (this._tiles.get(name)?.bytes ?? 0);
    this._tiles.delete(name);
    this._tiles.set(name, tile);
    for (const [oldest, { bytes }] of this._tiles) {
      if (this._bytes <= this._mostBytes || oldest === name) {
        break;
      }
      this._tiles.delete(oldest);
      this._bytes -= bytes;
    }
  }

  /**
   * Tiles for a tile's period: the tile itself, finer ones that cover it, or a
   * coarser one.
   */
  best(key: ITileKey): ITile[] {
    const own = this.get(key);
    if (own) {
      return [own];
    }
    const finer = this._finer(key, FINER);
    if (finer) {
      return finer;
    }
    for (let up = 1; up <= COARSER; up++) {
      const tile = this.get({
        lane: key.lane,
        level: key.level + up,
        index: Math.floor(key.index / 2 ** up)
      });
      if (tile) {
        return [tile];
      }
    }
    return [];
  }

  private _finer(key: ITileKey, deep: number): ITile[] | null {
    if (key.level === 0 || deep === 0) {
      return null;
    }
    const found: ITile[] = [];
    for (const index of [2 * key.index, 2 * key.index + 1]) {
      const half = { lane: key.lane, level: key.level - 1, index };
      const own = this.get(half);
      const parts = own ? [own] : this._finer(half, deep - 1);
      if (!parts) {
        return null;
      }
      found.push(...parts);
    }
    return found;
  }

  private _tiles = new Map<string, ITile>();
  private _bytes = 0;
}
