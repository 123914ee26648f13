import { contrast, mixed } from '../colors';
import { layout, rowAt } from '../lanes';
import { TileLoader } from '../loader';
import { pick } from '../picking';
import { LaneRaster } from '../raster';
import type { ITileKey, ITimelineLane, ITimelineTile } from '../service';
import type { ITile } from '../tiles';
import { TileCache, levelOf, shownTiles, tileLength, tileOf } from '../tiles';
import {
  formatTick,
  kept,
  panned,
  stretchOf,
  tickStep,
  whole,
  zoomed
} from '../viewport';

const OPEN = { lanes: new Set<number>(), groups: new Set<string>() };

function lane(part: Partial<ITimelineLane> = {}): ITimelineLane {
  return {
    lane: 0,
    group: 'Process 1',
    label: 'main',
    device: '',
    stream: '',
    rows: 3,
    slices: 10,
    first_us: 0,
    last_us: 1000,
    rank: null,
    offset_us: 0,
    first_slice: 0,
    counter: null,
    ...part
  };
}

/** Items as [row, start, dur, count]. */
function tile(
  key: ITileKey,
  items: [row: number, start: number, dur: number, count: number][] = [],
  bytes = 100
): ITile {
  const column = (at: number) => items.map(item => item[at]);
  return {
    key,
    first: key.index * tileLength(key.level),
    row: Uint8Array.from(column(0)),
    start: Float32Array.from(column(1)),
    dur: Float32Array.from(column(2)),
    count: Int32Array.from(column(3)),
    covered: Float32Array.from(items.map(() => 1)),
    name: Int32Array.from(items.map((_, at) => at)),
    slice: Int32Array.from(items.map((_, at) => at)),
    bytes
  };
}

function base64(values: ArrayLike<number> & { buffer: ArrayBufferLike }) {
  return btoa(String.fromCharCode(...new Uint8Array(values.buffer)));
}

function answer(key: ITileKey): ITimelineTile {
  return {
    ...key,
    cell_ns: 1,
    start: base64(Float32Array.of(1.5, 40)),
    dur: base64(Float32Array.of(2, 7)),
    covered: base64(Float32Array.of(1, 0.5)),
    name: base64(Int32Array.of(3, 4)),
    slice: base64(Int32Array.of(70000, 5)),
    count: base64(Int32Array.of(1, 12)),
    row: base64(Uint8Array.of(0, 2)),
    low: '',
    high: '',
    last: ''
  };
}

describe('the time that is shown', () => {
  const span = 1e9;

  it('keeps the time under the pointer while it zooms', () => {
    let view = whole(span, 800);
    for (let step = 0; step < 20; step++) {
      const at = view.start + 200 * view.nsPerPx;
      view = zoomed(view, 0.7, 200, span);
      expect(view.start + 200 * view.nsPerPx).toBeCloseTo(at, 1);
    }
  });

  it('is never lost beside the trace, nor closer than it tells', () => {
    const view = whole(span, 800);
    expect(panned(view, 1e9, span).start).toBeLessThan(span);
    const before = panned(view, -1e9, span);
    expect(before.start + before.nsPerPx * 800).toBeGreaterThan(0);
    expect(zoomed(view, 1e-30, 400, span).nsPerPx).toBe(0.02);
    expect(zoomed(view, 1e30, 400, span).nsPerPx * 800).toBeCloseTo(1.1 * span);
    expect(kept({ ...view, width: 0 }, span).width).toBe(0);
  });

  it('has an axis whose labels tell two ticks apart', () => {
    const view = { start: 0, nsPerPx: 1000, width: 800 };
    expect(tickStep(view, 110)).toBe(200_000);
    expect(formatTick(1_400_000, 200_000)).toBe('1.4 ms');
    expect(formatTick(2_000_000_200, 100)).toBe('2.0000002 s');
    expect(formatTick(2_000_000_300, 100)).toBe('2.0000003 s');
    expect(formatTick(0, 200_000)).toBe('0 µs');
  });
});

describe('lanes', () => {
  const lanes = [
    lane(),
    lane({ lane: 1, rows: 2 }),
    lane({ lane: 2, group: 'Device 0', rows: 1 })
  ];

  it('lie below each other, each group below its name', () => {
    const placed = layout(lanes, OPEN);
    expect(placed.groups.map(({ name }) => name)).toEqual([
      'Process 1',
      'Device 0'
    ]);
    const [one, two, three] = placed.lanes;
    expect(two.top).toBeGreaterThanOrEqual(one.top + one.height);
    expect(three.top).toBeGreaterThanOrEqual(two.top + two.height);
    expect(placed.height).toBeGreaterThanOrEqual(three.top + three.height);
    expect(rowAt(placed, one.top + 20)).toEqual({ lane: one, row: 1 });
    expect(rowAt(placed, 0)).toBeNull();
  });

  it('show one row when they are collapsed', () => {
    const open = layout(lanes, OPEN);
    const placed = layout(lanes, { ...OPEN, lanes: new Set([0]) });
    expect(placed.lanes[0].shownRows).toBe(1);
    expect(open.height - placed.height).toBe(2 * 17);
  });
});

describe('tiles', () => {
  it('come out of an answer', () => {
    const found = tileOf(answer({ lane: 1, level: 3, index: 2 }));
    expect(found.first).toBe(2 * 512 * 8);
    expect([...found.start]).toEqual([1.5, 40]);
    expect([...found.slice]).toEqual([70000, 5]);
    expect([...found.count]).toEqual([1, 12]);
    expect([...found.row]).toEqual([0, 2]);
  });

  it('have cells of at most a pixel, and are those that are seen', () => {
    const view = { start: 1000, nsPerPx: 5, width: 1000 };
    expect(levelOf(view)).toBe(2);
    expect(shownTiles(view, 2, 0, 1e9)).toEqual([0, 2]);
    expect(shownTiles(view, 2, 4000, 4100)).toEqual([1, 2]);
    expect(shownTiles(view, 2, 7000, 8000)).toBeNull();
    expect(levelOf({ ...view, nsPerPx: 0.1 })).toBe(0);
  });

  it('are forgotten in the order of their use, beyond a number of bytes', () => {
    const cache = new TileCache(250);
    const keys = [0, 1, 2].map(index => ({ lane: 0, level: 0, index }));
    cache.put(tile(keys[0]));
    cache.put(tile(keys[1]));
    cache.get(keys[0]);
    cache.put(tile(keys[2]));
    expect(keys.map(key => cache.has(key))).toEqual([true, false, true]);
    expect(cache.bytes).toBe(200);
    cache.put(tile(keys[2], [], 1000));
    expect(keys.map(key => cache.has(key))).toEqual([false, false, true]);
  });

  it('are replaced by other resolutions until they are there', () => {
    const cache = new TileCache(1e6);
    const key = { lane: 0, level: 4, index: 5 };
    expect(cache.best(key)).toEqual([]);
    const coarse = tile({ lane: 0, level: 7, index: 0 });
    cache.put(coarse);
    expect(cache.best(key)).toEqual([coarse]);
    const halves = [10, 11].map(index => tile({ lane: 0, level: 3, index }));
    cache.put(halves[0]);
    expect(cache.best(key)).toEqual([coarse]);
    cache.put(halves[1]);
    expect(cache.best(key)).toEqual(halves);
    const own = tile(key);
    cache.put(own);
    expect(cache.best(key)).toEqual([own]);
  });
});

describe('the loader', () => {
  interface ICall {
    keys: ITileKey[];
    signal: AbortSignal;
    done: (tiles: ITimelineTile[]) => void;
    fail: (reason: unknown) => void;
  }
  let calls: ICall[];
  let cache: TileCache;
  let loader: TileLoader;
  let errors: unknown[];
  const keys = (first: number, count: number) =>
    Array.from({ length: count }, (_, at) => ({
      lane: 0,
      level: 0,
      index: first + at
    }));
  const turn = () => new Promise(resolve => setTimeout(resolve));

  beforeEach(() => {
    calls = [];
    errors = [];
    cache = new TileCache(1e6);
    loader = new TileLoader({
      cache,
      fetch: (asked, signal) =>
        new Promise((done, fail) => {
          calls.push({ keys: asked, signal, done, fail });
        }),
      onTiles: () => undefined,
      onError: reason => errors.push(reason)
    });
  });

  it('asks for each once, some at a time', async () => {
    loader.want(keys(0, 30));
    loader.want(keys(0, 30));
    expect(calls.map(call => call.keys.length)).toEqual([12, 12]);
    calls[0].done(calls[0].keys.map(answer));
    await turn();
    expect(calls.map(call => call.keys.length)).toEqual([12, 12, 6]);
    expect(cache.has({ lane: 0, level: 0, index: 3 })).toBe(true);
    expect(loader.busy).toBe(true);
  });

  it('aborts what is wanted no more', async () => {
    loader.want(keys(0, 20));
    loader.want(keys(12, 20));
    expect(calls.map(call => call.signal.aborted)).toEqual([
      true,
      false,
      false
    ]);
    calls[0].done(calls[0].keys.map(answer));
    await turn();
    expect(cache.has({ lane: 0, level: 0, index: 0 })).toBe(false);
    loader.dispose();
    expect(calls.every(call => call.signal.aborted)).toBe(true);
  });

  it('waits after a failure until it is told to go on', async () => {
    loader.want(keys(0, 3));
    calls[0].fail(new Error('down'));
    await turn();
    loader.want(keys(0, 3));
    expect(calls).toHaveLength(1);
    expect(errors).toHaveLength(1);
    loader.retry();
    expect(calls).toHaveLength(2);
  });
});

describe('drawing', () => {
  const key = { lane: 0, level: 0, index: 0 };
  const theme = {
    pixels: Uint32Array.from({ length: 24 }, (_, at) => 100 + at),
    dimmed: Uint32Array.from({ length: 24 }, (_, at) => 200 + at),
    backgroundPixel: 1
  };
  const stretch = { origin: 0, pxPerNs: 1, from: 0, to: 16 };

  function lines(
    items: Parameters<typeof tile>[1],
    matches: Uint8Array | null = null
  ): number[][] {
    const raster = new LaneRaster();
    raster.begin(2, 16, 1);
    raster.add(tile(key, items), stretch, theme, matches);
    const picture = new Uint32Array(16 * 4);
    raster.copy(picture, 4, 0, 2, 1);
    expect([...picture.subarray(16, 32)].every(pixel => pixel === 0)).toBe(
      true
    );
    return [0, 2].map(y => [...picture.subarray(y * 16, (y + 1) * 16)]);
  }

  it('fills the pixels of a slice, with a gap before the next', () => {
    const [first, second] = lines([
      [0, 2, 6, 1],
      [1, -5, 7, 1]
    ]);
    expect(first).toEqual([1, 1, 107, 107, 107, 107, 107, ...Array(9).fill(1)]);
    expect(second.slice(0, 3)).toEqual([115, 1, 1]);
  });

  it('lets nothing vanish, and draws rows that are not shown nowhere', () => {
    const [first] = lines([
      [0, 3, 0, 1],
      [0, 9, 0.01, 500],
      [5, 0, 16, 1]
    ]);
    expect(first.map(pixel => pixel !== 1).indexOf(true)).toBe(3);
    expect(first[9]).not.toBe(1);
    expect(first.filter(pixel => pixel !== 1)).toHaveLength(2);
  });

  it('dims what a search does not match', () => {
    const items: Parameters<typeof tile>[1] = [
      [0, 0, 3, 1],
      [1, 0, 3, 1]
    ];
    const [first, second] = lines(items, Uint8Array.of(1, 0));
    expect([first[0], second[0]]).toEqual([107, 215]);
  });

  it('tells what is at a place', () => {
    const cache = new TileCache(1e6);
    cache.put(
      tile(key, [
        [0, 10, 50, 1],
        [1, 20, 1, 8]
      ])
    );
    const placed = layout([lane()], OPEN);
    const view = { start: 0, nsPerPx: 1, width: 500 };
    const { top } = placed.lanes[0];
    const at = (x: number, row: number) =>
      pick(x, top + row * 17 + 5, view, placed, cache);
    expect(at(30, 0)).toMatchObject({ slice: 0, count: 1, start: 10 });
    expect(at(22, 1)).toMatchObject({ slice: 1, count: 8 });
    expect(at(300, 0)).toBeNull();
    expect(at(30, 2)).toBeNull();
  });

  it('mixes colours and tells their contrast', () => {
    expect(mixed([0, 0, 0], [200, 100, 50], 0.5)).toEqual([100, 50, 25]);
    expect(contrast([0, 0, 0], [255, 255, 255])).toBeCloseTo(21);
    expect(contrast([9, 9, 9], [9, 9, 9])).toBe(1);
  });
});

describe('stretchOf', () => {
  const view = { start: -500, nsPerPx: 10, width: 200 };

  it('is what is seen of the trace, or what is selected', () => {
    expect(stretchOf(view, null, undefined, 1000)).toEqual({
      first: 0,
      last: 1000
    });
    expect(stretchOf(view, { first: 20, last: 30 }, undefined, 1000)).toEqual({
      first: 20,
      last: 30
    });
  });

  it('holds the selected slice and is never empty', () => {
    const far = { start_us: 4, dur_us: 2 };
    expect(stretchOf(view, null, far, 9000)).toEqual({ first: 0, last: 6000 });
    const beside = { ...view, start: 5000, nsPerPx: 1 };
    const stretch = stretchOf(beside, null, undefined, 1000);
    expect(stretch.first).toBeGreaterThanOrEqual(0);
    expect(stretch.last).toBeGreaterThan(stretch.first);
  });
});
