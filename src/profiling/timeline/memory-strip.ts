/** A device's memory in use, on the time axis of the lanes. */
import type { IMemoryMoment } from '../main/memory/service';
import type { IProfileSummary } from '../service';

import type { IViewport } from './viewport';

export type IMemory = NonNullable<IProfileSummary['memory']>;
export type IDeviceMemory = IMemory['devices'][number];
type IPoint = NonNullable<IDeviceMemory['timeline']>[number];

/**
 * Returns a device's memory by owner, by its number in the profile, at a time
 * in microseconds or (null) at its peak.
 */
export type IMemoryAt = (
  device: number,
  us: number | null,
  signal: AbortSignal
) => Promise<IMemoryMoment>;

/** More devices would leave no space for the lanes; the memory view has all. */
const MOST_STRIPS = 4;

/**
 * The memory of a rank's devices (null: of a profile of one trace); each keeps
 * its position in `memory`.
 */
export function memoryOfRank(
  memory: IMemory | null,
  rank: number | null
): IMemory | null {
  return memory && rank !== null
    ? { ...memory, devices: memory.devices.filter(each => each.rank === rank) }
    : memory;
}

/**
 * The devices whose memory is shown below the lanes; the host's if there is no
 * other.
 */
export function stripsOf(memory: IMemory | null): IDeviceMemory[] {
  const withMemory = (memory?.devices ?? []).filter(
    ({ timeline }) => (timeline ?? []).length > 1
  );
  const ofDevices = withMemory.filter(({ device }) => device >= 0);
  return (ofDevices.length > 0 ? ofDevices : withMemory).slice(0, MOST_STRIPS);
}

/** The last point at or before a time in microseconds; -1 before all. */
function placeAt(points: readonly IPoint[], us: number): number {
  let [low, high] = [0, points.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle].at <= us) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low - 1;
}

/** Bytes in use at a time, without memory from before the recording. */
export function memoryInUse(points: readonly IPoint[], us: number): number {
  return points[placeAt(points, us)]?.bytes ?? 0;
}

/**
 * Corners of the outline in the visible time, in pixels; bytes are constant
 * until the next point.
 */
export function outlineIn(
  points: readonly IPoint[],
  view: IViewport,
  height: number,
  most: number
): [x: number, y: number][] {
  const y = (bytes: number) => height - (bytes / Math.max(most, 1)) * height;
  const first = view.start / 1000;
  const last = first + (view.width * view.nsPerPx) / 1000;
  let level = y(memoryInUse(points, first));
  const corners: [number, number][] = [[0, level]];
  for (
    let at = placeAt(points, first) + 1;
    at < points.length && points[at].at <= last;
    at++
  ) {
    const x = (points[at].at * 1000 - view.start) / view.nsPerPx;
    corners.push([x, level]);
    level = y(points[at].bytes);
    corners.push([x, level]);
  }
  corners.push([view.width, level]);
  return corners;
}
