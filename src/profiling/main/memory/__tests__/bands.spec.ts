import { LOOK } from '../../../../core/charts/__tests__/support';
import { asSvg } from '../../../../core/charts/svg';
import { heldOf, momentOfKey, placeOf, pointAt, zoomed } from '../bands';
import {
  bytesAt,
  innerWidth,
  lineAt,
  memoryPicture,
  pixelOf,
  placeAt
} from '../picture';

import { makeTimeline } from './support';

const picture = (
  held: ReturnType<typeof heldOf>,
  part: Partial<Parameters<typeof memoryPicture>[0]> = {}
) =>
  memoryPicture({
    curve: held,
    width: 500,
    height: 300,
    look: LOOK,
    colorOf: place => `color ${place}`,
    alarm: 'red',
    lit: null,
    when: String,
    words: { others: 'others' },
    ...part
  });

describe('bands of memory', () => {
  it('lie one above the other', () => {
    const held = heldOf(
      makeTimeline({
        bands: { 7: [1, 2], 2: [3, 4] },
        at: [0, 1],
        held: [5, 9]
      })
    );
    // Numbers as keys come in their own order.
    expect(held.bands.map(({ line }) => line)).toEqual([2, 7]);
    expect([...held.bands[0].low]).toEqual([0, 0]);
    expect([...held.bands[1].low]).toEqual([3, 4]);
    expect([...held.bands[1].high]).toEqual([4, 6]);
  });

  it('have moments or times on their axis', () => {
    const timeline = makeTimeline({ us: [5, 6, 9, 20] });
    expect([...Array.from(heldOf(timeline).x)]).toEqual([0, 1, 2, 3]);
    expect(heldOf(timeline).end).toBe(4);
    const timed = heldOf({ ...timeline, by_time: true });
    expect([...Array.from(timed.x)]).toEqual([5, 6, 9, 20]);
    expect(timed.end).toBeGreaterThan(20);
  });

  it('know the point and the place of a moment between points', () => {
    const held = heldOf(makeTimeline({ at: [0, 10, 20, 40], moments: 41 }));
    expect([0, 9, 10, 99].map(at => pointAt(held.at, at))).toEqual([
      0, 0, 1, 3
    ]);
    expect(placeOf(held, 15)).toBe(15);
    const timed = heldOf(
      makeTimeline({
        at: [0, 10, 20, 40],
        us: [0, 100, 500, 600],
        moments: 41,
        by_time: true
      })
    );
    expect(placeOf(timed, 15)).toBe(300);
    expect(placeOf(timed, 40)).toBe(600);
  });

  it('are walked by keys', () => {
    const held = heldOf(makeTimeline({ at: [0, 10, 20, 40], moments: 41 }));
    const from = (at: number) =>
      ['ArrowLeft', 'ArrowRight', 'Home', 'End', 'PageUp', 'x'].map(key =>
        momentOfKey(held, at, key)
      );
    expect(from(10)).toEqual([0, 20, 0, 40, 0, null]);
    expect(from(15)).toEqual([10, 20, 0, 40, 0, null]);
    expect(from(40)).toEqual([20, 40, 0, 40, 20, null]);
    expect(from(0)).toEqual([0, 10, 0, 40, 0, null]);
  });

  it('are zoomed around a moment that keeps its place, never beyond the recording', () => {
    const held = heldOf(makeTimeline({ at: [0, 100, 200, 400], moments: 401 }));
    expect(zoomed(held, 0.5, 100)).toEqual([50, 250]);
    expect(zoomed(held, 2, 100)).toEqual([0, 400]);
    expect(zoomed(held, 0.001, 400)).toEqual([392, 400]);
    expect(zoomed(held, 0.001, 0)).toEqual([0, 8]);
  });
});

describe('the picture of memory', () => {
  const held = heldOf(makeTimeline({ reserved: [50, 50, 60, 60] }));

  it('fills each band, and what all others hold above them', () => {
    const areas = picture(held).marks.filter(mark => mark.kind === 'area');
    expect(areas.map(({ color }) => color)).toEqual([
      'color 0',
      'color 1',
      'color -1'
    ]);
    const [first, , others] = areas;
    // What is held stays until the next point.
    expect(Array.from(first.x)).toHaveLength(8);
    expect(first.high[2]).toBe(first.high[3]);
    expect(others.high[4]).toBeLessThan(others.low[4]);
    expect(others.high[6]).toBe(others.low[6]);
  });

  it('leaves one line bright', () => {
    const areas = picture(held, { lit: 2 }).marks.filter(
      mark => mark.kind === 'area'
    );
    expect(areas.map(({ opacity }) => (opacity ?? 1) > 0.5)).toEqual([
      true,
      false,
      false
    ]);
  });

  it('leaves what all others hold bright for a line without a band', () => {
    const areas = picture(held, { lit: 99 }).marks.filter(
      mark => mark.kind === 'area'
    );
    expect(areas.map(({ opacity }) => (opacity ?? 1) > 0.5)).toEqual([
      false,
      false,
      true
    ]);
  });

  it('marks the peak and what failed where they are seen', () => {
    const failed = heldOf(
      makeTimeline({ failures: [1, 3], at: [2, 3], held: [40, 20], bands: {} })
    );
    const signs = (what: typeof held) =>
      picture(what)
        .marks.filter(mark => mark.kind === 'points')
        .map(({ color }) => color);
    expect(signs(held)).toEqual([LOOK.text]);
    expect(signs(failed)).toEqual([LOOK.text, 'red']);
  });

  it('has a dashed line of what is reserved', () => {
    const lines = picture(held).marks.filter(mark => mark.kind === 'line');
    expect(lines).toHaveLength(1);
    expect(
      picture(heldOf(makeTimeline())).marks.some(mark => mark.kind === 'line')
    ).toBe(false);
  });

  it('names its colours where it leaves the page', () => {
    const { marks, height } = picture(held, {
      legend: ({ site }) => site.name
    });
    const texts = marks.flatMap(mark =>
      mark.kind === 'text' ? [mark.text] : []
    );
    expect(texts.slice(-3)).toEqual(['line 2', 'line 7', 'others']);
    expect(height).toBeGreaterThan(300);
  });

  it('is a drawing of closed areas, too', () => {
    const svg = new DOMParser().parseFromString(
      asSvg(picture(held), LOOK, 'memory'),
      'image/svg+xml'
    );
    const areas = [...svg.querySelectorAll('path[fill^="color"]')];
    expect(areas).toHaveLength(3);
    expect(areas[0].getAttribute('d')).toMatch(
      /^M66 \S+(L\d[\d.]* [\d.]+){15}Z$/
    );
  });

  it('knows what is at a pixel', () => {
    const inner = innerWidth(500);
    for (const at of [0, 1, 2, 3]) {
      expect(Math.floor(placeAt(held, inner, pixelOf(held, inner, at)))).toBe(
        at
      );
    }
    expect(placeAt(held, inner, -9)).toBe(0);
    expect(placeAt(held, inner, 999)).toBe(held.end);
    expect(bytesAt(held, 300, 300 - 22)).toBe(0);
    expect(bytesAt(held, 300, 14)).toBeCloseTo(61.2);
    expect(lineAt(held, 2, 10)).toBe(2);
    expect(lineAt(held, 2, 20)).toBe(7);
    expect(lineAt(held, 2, 39)).toBeNull();
  });
});
