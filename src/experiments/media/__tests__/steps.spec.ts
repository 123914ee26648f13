import { MOST_RIDGES, evenly, ridges } from '../ridges';
import { entriesAt, entrySteps, mediaRows, placeAt } from '../steps';
import { rowsOf } from '../view/table';

import { makeEntry, makeHistograms, makeMedia } from './support';

describe('what belongs to a step', () => {
  it('is that of the step, or of the last one before it', () => {
    const entries = [makeEntry(0), makeEntry(10), makeEntry(10), makeEntry(30)];
    const steps = (step: number) =>
      entriesAt(entries, step).map(each => each.step);
    expect(steps(10)).toEqual([10, 10]);
    expect(steps(29)).toEqual([10, 10]);
    expect(steps(1000)).toEqual([30]);
    expect(steps(-5)).toEqual([0]);
    expect(entriesAt([], 3)).toEqual([]);
    expect(placeAt(entries, 10)).toBe(2);
  });

  it('puts runs side by side by kind and name', () => {
    const runs = [
      makeMedia('a', [0, 20], ['x', 'y']),
      makeMedia('b', [10], ['y', 'z'])
    ];
    const rows = mediaRows(runs);
    expect(
      rows.map(({ kind, name, series }) => [
        kind,
        name,
        series.map(each => each !== null)
      ])
    ).toEqual([
      ['image', 'x', [true, false]],
      ['image', 'y', [true, true]],
      ['image', 'z', [false, true]],
      ['histogram', 'w', [true, true]]
    ]);
    expect(entrySteps(rows)).toEqual([0, 10, 20]);
  });
});

describe('ridges', () => {
  it('are few, evenly chosen, with the current one among them', () => {
    for (const length of [0, 1, 2, 24, 25, 120]) {
      for (let wanted = 0; wanted < length; wanted++) {
        const places = evenly(length, MOST_RIDGES, wanted);
        expect(places).toContain(wanted);
        expect(places[0]).toBe(0);
        expect(places[places.length - 1]).toBe(length - 1);
        expect(places).toEqual([...new Set(places)].sort((a, b) => a - b));
        expect(places.length).toBe(Math.min(length, MOST_RIDGES));
      }
    }
    expect(evenly(0, MOST_RIDGES, 0)).toEqual([]);
  });

  it('are within the drawing, whatever the numbers are', () => {
    const found = makeHistograms(50);
    for (const series of [
      found,
      makeHistograms(1, { low: 3, high: 3 }),
      makeHistograms(0)
    ]) {
      const domain = [series.low, series.high] as const;
      for (const { path } of ridges(series, 0, domain)) {
        const numbers = path.match(/-?[\d.]+/g)!.map(Number);
        expect(numbers.every(Number.isFinite)).toBe(true);
        expect(Math.min(...numbers)).toBeGreaterThanOrEqual(0);
        expect(Math.max(...numbers)).toBeLessThanOrEqual(280);
      }
    }
  });
});

describe('a table', () => {
  it('is read as pandas writes it, and nothing else is', () => {
    const text = '{"columns":["a","b"],"data":[[1,null],["<b>",{"c":1}]]}';
    expect(rowsOf(text)).toEqual([
      ['a', 'b'],
      ['1', ''],
      ['<b>', '{"c":1}']
    ]);
    for (const other of ['', 'null', '[]', '{"columns":1,"data":[]}']) {
      expect(rowsOf(other)).toBeNull();
    }
  });
});
