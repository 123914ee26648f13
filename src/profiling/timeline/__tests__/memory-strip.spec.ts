import {
  memoryInUse,
  memoryOfRank,
  outlineIn,
  stripsOf
} from '../memory-strip';
import type { IDeviceMemory, IMemory } from '../memory-strip';

const POINTS = [
  { at: 10, bytes: 100 },
  { at: 20, bytes: 400 },
  { at: 30, bytes: 0 }
];

function memoryOf(devices: [number, typeof POINTS][]): IMemory {
  return {
    devices: devices.map(
      ([device, timeline]) => ({ device, timeline }) as IDeviceMemory
    ),
    out_of_memory: [],
    damaged: ''
  };
}

describe('memory below the lanes', () => {
  it('is held until the next point', () => {
    expect([5, 10, 19, 20, 40].map(us => memoryInUse(POINTS, us))).toEqual([
      0, 100, 100, 400, 0
    ]);
    expect(memoryInUse([], 5)).toBe(0);
  });

  it('has its corners where the time is, from what is held at the left', () => {
    // Microseconds 15 to 25 in 100 pixels.
    const view = { start: 15_000, nsPerPx: 100, width: 100 };
    expect(outlineIn(POINTS, view, 40, 400)).toEqual([
      [0, 30],
      [50, 30],
      [50, 0],
      [100, 0]
    ]);
    const after = { ...view, start: 100_000 };
    expect(outlineIn(POINTS, after, 40, 400)).toEqual([
      [0, 40],
      [100, 40]
    ]);
  });

  it('is that of the rank that is looked at, by its place among those of all', () => {
    const memory = memoryOf([
      [0, POINTS],
      [1, POINTS]
    ]);
    memory.devices.forEach((device, rank) =>
      Object.assign(device, { rank: rank + 4 })
    );
    const [shown, ...others] = stripsOf(memoryOfRank(memory, 5));
    expect(others).toEqual([]);
    expect(memory.devices.indexOf(shown)).toBe(1);
    expect(memoryOfRank(memory, null)).toBe(memory);
  });

  it('is that of devices, and of the host where there is none', () => {
    const shown = (memory: IMemory | null) =>
      stripsOf(memory).map(({ device }) => device);
    expect(shown(null)).toEqual([]);
    expect(
      shown(
        memoryOf([
          [1, POINTS],
          [-1, POINTS],
          [2, []]
        ])
      )
    ).toEqual([1]);
    expect(shown(memoryOf([[-1, POINTS]]))).toEqual([-1]);
  });
});
