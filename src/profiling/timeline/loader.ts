import type { IDisposable } from '@lumino/disposable';

import type { ITileKey, ITimelineTile } from './service';
import type { ITile, TileCache } from './tiles';
import { keyOf, tileOf } from './tiles';

const BATCH = 12;
const AT_ONCE = 2;

interface IBatch {
  readonly keys: ReadonlySet<string>;
  readonly abort: AbortController;
}

/**
 * Fetches the wanted tiles in order, and aborts those that are no longer
 * wanted.
 */
export class TileLoader implements IDisposable {
  constructor(private _options: TileLoader.IOptions) {}

  /** Whether a wanted tile is missing. */
  get busy(): boolean {
    return this._batches.size > 0;
  }

  /** Replace the wanted tiles. */
  want(keys: readonly ITileKey[]): void {
    const { cache } = this._options;
    this._wanted = keys.filter(key => !cache.has(key));
    const names = new Set(this._wanted.map(keyOf));
    for (const batch of this._batches) {
      if (![...batch.keys].some(name => names.has(name))) {
        batch.abort.abort();
        this._batches.delete(batch);
      }
    }
    this._go();
  }

  /** Retry tiles that could not be fetched. */
  retry(): void {
    this._failed = false;
    this._go();
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    this._isDisposed = true;
    this.want([]);
  }

  private _go(): void {
    while (!this._failed && this._batches.size < AT_ONCE) {
      const flying = new Set(
        [...this._batches].flatMap(({ keys }) => [...keys])
      );
      const next = this._wanted
        .filter(key => !flying.has(keyOf(key)) && !this._options.cache.has(key))
        .slice(0, BATCH);
      if (next.length === 0) {
        return;
      }
      void this._fetch(next);
    }
  }

  private async _fetch(keys: ITileKey[]): Promise<void> {
    const { cache, fetch, onTiles, onError } = this._options;
    const abort = new AbortController();
    const batch = { keys: new Set(keys.map(keyOf)), abort };
    this._batches.add(batch);
    try {
      const tiles = (await fetch(keys, abort.signal)).map(tileOf);
      if (abort.signal.aborted) {
        return;
      }
      tiles.forEach(tile => cache.put(tile));
      this._batches.delete(batch);
      onTiles(tiles);
    } catch (reason) {
      if (abort.signal.aborted) {
        return;
      }
      this._batches.delete(batch);
      this._failed = true;
      onError(reason);
    }
    this._go();
  }

  private _wanted: ITileKey[] = [];
  private _batches = new Set<IBatch>();
  private _failed = false;
  private _isDisposed = false;
}

export namespace TileLoader {
  export interface IOptions {
    cache: TileCache;
    fetch: (keys: ITileKey[], signal: AbortSignal) => Promise<ITimelineTile[]>;
    onTiles: (tiles: readonly ITile[]) => void;
    /** After an error, nothing is fetched until `retry`. */
    onError: (reason: unknown) => void;
  }
}
