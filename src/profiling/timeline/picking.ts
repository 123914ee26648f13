import { rowAt } from './lanes';
import type { ILayout, IPlacedLane } from './lanes';
import type { ITile, TileCache } from './tiles';
import { levelOf, tileLength } from './tiles';
import type { IViewport } from './viewport';

/**
 * An item under the pointer: a slice, or a run of slices if `count` is above 1.
 * Nanoseconds.
 */
export interface IPicked {
  readonly lane: IPlacedLane;
  readonly row: number;
  readonly slice: number;
  readonly name: number;
  readonly count: number;
  readonly start: number;
  readonly dur: number;
  /** For a counter, the least, largest and last value of `count` samples. */
  readonly values: IPickedValues | null;
}

export interface IPickedValues {
  readonly low: number;
  readonly high: number;
  readonly last: number;
}

const NEAR_PX = 2;

/** The item at a position; `y` from the top of all lanes. */
export function pick(
  x: number,
  y: number,
  view: IViewport,
  placed: ILayout,
  cache: TileCache
): IPicked | null {
  const at = rowAt(placed, y);
  if (!at) {
    return null;
  }
  const time = view.start - at.lane.offset + x * view.nsPerPx;
  const level = levelOf(view);
  const near = NEAR_PX * view.nsPerPx;
  const indices = new Set(
    [time - near, time, time + near].map(each =>
      Math.floor(each / tileLength(level))
    )
  );
  let best: IPicked | null = null;
  let distance = near;
  for (const index of indices) {
    for (const tile of cache.best({ lane: at.lane.lane, level, index })) {
      const found = nearest(tile, at.row, time, distance);
      if (found) {
        distance = found.distance;
        const item = itemOf(tile, found.at);
        best = {
          ...item,
          start: item.start + at.lane.offset,
          lane: at.lane,
          row: at.row
        };
      }
    }
  }
  return best;
}

function nearest(
  tile: ITile,
  row: number,
  time: number,
  within: number
): { at: number; distance: number } | null {
  let found: { at: number; distance: number } | null = null;
  for (let at = 0; at < tile.start.length; at++) {
    if (tile.row[at] !== row) {
      continue;
    }
    const start = tile.first + tile.start[at];
    const distance = Math.max(0, start - time, time - start - tile.dur[at]);
    if (distance <= (found?.distance ?? within)) {
      found = { at, distance };
    }
  }
  return found;
}

function itemOf(tile: ITile, at: number): Omit<IPicked, 'lane' | 'row'> {
  return {
    slice: tile.slice[at],
    name: tile.name[at],
    count: tile.count[at],
    start: tile.first + tile.start[at],
    dur: tile.dur[at],
    values: tile.values
      ? {
          low: tile.values.low[at],
          high: tile.values.high[at],
          last: tile.values.last[at]
        }
      : null
  };
}
