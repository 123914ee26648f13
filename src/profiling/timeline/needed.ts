import type { IPlacedLane } from './lanes';
import type { ITileKey } from './service';
import { levelOf, shownTiles, tileLength } from './tiles';
import type { IViewport } from './viewport';

/** The tiles that a view shows of a lane. */
export function shownOf(view: IViewport, lane: IPlacedLane): ITileKey[] {
  const level = levelOf(view);
  const [first, last] = shownTiles(
    { ...view, start: view.start - lane.offset },
    level,
    lane.first_us * 1000,
    lane.last_us * 1000
  ) ?? [0, -1];
  return Array.from({ length: last - first + 1 }, (_, at) => ({
    lane: lane.lane,
    level,
    index: first + at
  }));
}

/** One more on each side of those that are shown, so that a pan finds it there. */
export function besideOf(
  shown: readonly ITileKey[],
  lane: IPlacedLane
): ITileKey[] {
  if (shown.length === 0) {
    return [];
  }
  const { level } = shown[0];
  return [shown[0].index - 1, shown[shown.length - 1].index + 1]
    .filter(
      index =>
        index >= 0 &&
        index * tileLength(level) <= lane.last_us * 1000 &&
        (index + 1) * tileLength(level) > lane.first_us * 1000
    )
    .map(index => ({ lane: lane.lane, level, index }));
}
