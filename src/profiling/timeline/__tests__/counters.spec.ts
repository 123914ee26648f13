import { CounterRaster, formatValue, scaleOf } from '../counters';
import { COUNTER_PX, layout, rowAt } from '../lanes';
import { pick } from '../picking';
import type { ITimelineLane } from '../service';
import type { ITile } from '../tiles';
import { TileCache, levelOf } from '../tiles';

const LINE = 2;
const AREA = 1;
const colors = { line: LINE, area: AREA };

/** Items as [start, dur, count, low, high, last]. */
function tile(items: number[][], level = 0): ITile {
  const column = (at: number) => items.map(item => item[at]);
  return {
    key: { lane: 7, level, index: 0 },
    first: 0,
    row: Uint8Array.from(items, () => 0),
    start: Float32Array.from(column(0)),
    dur: Float32Array.from(column(1)),
    count: Int32Array.from(column(2)),
    covered: Float32Array.from(items, () => 1),
    name: Int32Array.from(items, () => -1),
    slice: Int32Array.from(items, (_, at) => 100 + at),
    values: {
      low: Float64Array.from(column(3)),
      high: Float64Array.from(column(4)),
      last: Float64Array.from(column(5))
    },
    bytes: 100
  };
}

/** Rows of a lane of 10 columns, 5 pixels high and one more above and below, of which the scale is 0 to 4. */
function drawn(...tiles: { tile: ITile; from: number; to: number }[]): string {
  const width = 10;
  const raster = new CounterRaster();
  raster.begin(width);
  for (const { tile: each, from, to } of tiles) {
    raster.add(each, { origin: 0, pxPerNs: 1, from, to });
  }
  const picture = new Uint32Array(width * 7);
  raster.copy(picture, 7, 1, 5, 1, { bottom: 0, top: 4 }, colors);
  return Array.from({ length: 7 }, (_, y) =>
    [...picture.subarray(y * width, (y + 1) * width)]
      .map(pixel => ' .#'[pixel])
      .join('')
  ).join('\n');
}

describe('a counter on the timeline', () => {
  it('holds a value until the next one, and steps there', () => {
    const samples = [
      [2, 4, 1, 3, 3, 3],
      [6, 2, 1, 1, 1, 1]
    ];
    expect(drawn({ tile: tile(samples), from: 0, to: 10 })).toBe(
      [
        '          ',
        '          ',
        '  #####   ',
        '  ....#   ',
        '  ....##  ',
        '  ......  ',
        '          '
      ].join('\n')
    );
  });

  it('shows the least and the most of samples that share a pixel', () => {
    expect(
      drawn({ tile: tile([[4, 6, 9, 0, 4, 2]]), from: 0, to: 10 }).split('\n')
    ).toEqual([
      '          ',
      '    #     ',
      '    #     ',
      '    ######',
      '    #.....',
      '    #.....',
      '          '
    ]);
  });

  it('draws a tile in its own stretch alone, from the sample before it on', () => {
    const picture = drawn(
      { tile: tile([[-900, 905, 1, 4, 4, 4]]), from: 0, to: 5 },
      { tile: tile([[-900, 2000, 1, 0, 0, 0]]), from: 5, to: 10 }
    ).split('\n');
    expect(picture[1]).toBe('######    ');
    expect(picture[5]).toBe('.....#####');
  });

  it('has nothing before the first sample', () => {
    expect(drawn({ tile: tile([]), from: 0, to: 10 }).trim()).toBe('');
  });

  it('begins at nothing but for values far from it', () => {
    expect(scaleOf({ least: 10, most: 250 })).toEqual({
      bottom: 0,
      top: 250
    });
    expect(scaleOf({ least: 60, most: 64 })).toEqual({
      bottom: 59,
      top: 64
    });
    expect(scaleOf({ least: -64, most: -60 })).toEqual({
      bottom: -64,
      top: -59
    });
    expect(scaleOf({ least: -5, most: 3 })).toEqual({
      bottom: -5,
      top: 3
    });
    expect(scaleOf({ least: 0, most: 0 })).toEqual({
      bottom: 0,
      top: 1
    });
    expect(scaleOf({ least: 7, most: 7 })).toEqual({
      bottom: 0,
      top: 7
    });
  });

  it('is picked at any height of its lane, between its samples too', () => {
    const lane: ITimelineLane = {
      lane: 7,
      group: 'Counters of process 0',
      label: 'power',
      device: '',
      stream: '',
      rows: 1,
      slices: 2,
      first_us: 0,
      last_us: 1,
      rank: null,
      offset_us: 0,
      first_slice: 0,
      counter: { least: 1, most: 3, unit: 'W' }
    };
    const placed = layout([lane], {
      lanes: new Set<number>(),
      groups: new Set<string>()
    });
    expect(placed.lanes[0].height).toBe(COUNTER_PX);
    const { top } = placed.lanes[0];
    expect(rowAt(placed, top + COUNTER_PX - 1)?.row).toBe(0);
    expect(rowAt(placed, top + COUNTER_PX)).toBeNull();
    const view = { start: 0, nsPerPx: 1, width: 500 };
    const cache = new TileCache(1e6);
    const samples = [
      [0, 300, 1, 3, 3, 3],
      [300, 400, 5, 1, 2, 2]
    ];
    cache.put(tile(samples, levelOf(view)));
    const at = (x: number) => pick(x, top + 30, view, placed, cache);
    expect(at(200)).toMatchObject({
      slice: 100,
      count: 1,
      values: { last: 3 }
    });
    expect(at(400)).toMatchObject({
      slice: 101,
      count: 5,
      values: { low: 1, high: 2, last: 2 }
    });
  });

  it('is written with its unit', () => {
    expect(formatValue(250.5, 'W')).toBe('250.5 W');
    expect(formatValue(1234567.891)).toBe('1,234,570');
    expect(formatValue(0.000123456789)).toBe('0.000123457');
  });
});
