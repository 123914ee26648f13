import { numberScale } from '../axes';
import type { ILineChart } from '../line-chart';
import { LineChart, lineScene } from '../line-chart';
import type { Mark } from '../scene';
import { asSvg } from '../svg';

import { LOOK } from './support';

const scene = (chart: ILineChart, pointer: number | null = null) =>
  lineScene(chart, 300, 104, LOOK, pointer);
/** What is drawn inside the axes. */
const drawn = (chart: ILineChart) =>
  scene(chart).marks.filter(
    mark => 'x' in mark && LOOK.series.includes(mark.color)
  ) as Extract<Mark, { kind: 'line' | 'points' }>[];
const words = (chart: ILineChart, pointer: number | null = null) =>
  scene(chart, pointer).marks.flatMap(mark =>
    mark.kind === 'text' ? mark.text : []
  );
const line = (x: number[], y: (number | null)[], label = 'loss') => ({
  label,
  x,
  y
});

describe('a chart of lines', () => {
  it('goes on over what is no number, in the order of x', () => {
    const [shown] = drawn({
      lines: [line([3, 0, 1, 2], [1, 4, null, NaN])]
    });
    expect(shown.kind).toBe('line');
    expect(Array.from(shown.x)).toEqual([46, 292]);
    expect(shown.y[0]).toBeLessThan(shown.y[1]);
  });

  it('has the last of values at one place', () => {
    const chart = { lines: [line([0, 1, 1], [0, 3, 10])] };
    expect(words(chart, 290)).toContain('10');
    expect(words(chart, 290)).not.toContain('3');
  });

  it('shows one point in the middle, and nothing as empty axes', () => {
    const [point] = drawn({ lines: [line([7], [2])] });
    expect(point.kind).toBe('points');
    expect(point.x[0]).toBe(169);
    expect(drawn({ lines: [line([], []), line([1], [null])] })).toEqual([
      expect.objectContaining({ kind: 'line', x: [] }),
      expect.objectContaining({ kind: 'line', x: [] })
    ]);
  });

  it('draws thousands of points as some for each pixel, and keeps every peak', () => {
    const x = Array.from({ length: 10_000 }, (_, at) => at);
    const y = x.map(at => (at === 5_001 ? 100 : at === 7_003 ? -100 : 0));
    const [shown] = drawn({ lines: [line(x, y)] });
    expect(shown.x.length).toBeLessThan(4 * 250);
    const { frame } = scene({ lines: [line(x, y)] });
    const scale = numberScale('linear', [-108, 108], [84, 8]);
    expect(Math.min(...Array.from(shown.y))).toBeCloseTo(scale.at(100), 5);
    expect(Math.max(...Array.from(shown.y))).toBeCloseTo(scale.at(-100), 5);
    expect(frame.top + frame.height).toBe(84);
  });

  it('marks where a metric stops to be a number, the word where there is room', () => {
    const lines = [line([0, 100], [1, 2])];
    const word = (x: number) =>
      scene({ lines, marks: [{ x, label: 'NaN' }] }).marks.find(
        mark => mark.kind === 'text' && mark.text === 'NaN'
      );
    expect(word(10)).toMatchObject({ align: 'start', color: LOOK.error });
    expect(word(99)).toMatchObject({ align: 'end' });
    expect(word(101)).toBeUndefined();
  });

  it('tells the values at the pointer, of the lines that have one there', () => {
    const chart: ILineChart = {
      lines: [line([0, 1, 2], [4, 5, 6]), line([0, 2], [7, 8], 'val_loss')]
    };
    expect(words(chart, 48)).toEqual(
      expect.arrayContaining(['loss 4', 'val_loss 7'])
    );
    expect(words(chart, 170)).toContain('loss 5');
    expect(words(chart, 170).join()).not.toContain('val_loss');
    expect(words({ lines: [line([], [])] }, 170).join()).not.toContain('loss');
  });

  it('has room for the labels of large numbers', () => {
    const chart = { lines: [line([0, 1], [1e6, 3e6])] };
    expect(words(chart)).toContain('2,000,000');
    expect(scene(chart).frame.left).toBeGreaterThan(60);
  });

  it('is a sparkline without axes, and a duration in its units', () => {
    const lines = [line([0, 90], [1, 2])];
    expect(words({ lines, bare: true })).toEqual([]);
    expect(words({ lines, x: 'duration' }).join()).toContain('1 min');
  });

  it('is drawn as a file as on the screen', () => {
    const chart = { lines: [line([0, 1], [1, 2])] };
    expect(asSvg(scene(chart), LOOK, 'loss')).toContain(
      `stroke="${LOOK.series[0]}"`
    );
  });

  it('leaves nothing in its host', () => {
    const host = document.createElement('div');
    const chart = new LineChart(host, 104);
    chart.update({ lines: [line([0], [1])] });
    expect(host.querySelectorAll('canvas')).toHaveLength(1);
    chart.dispose();
    expect(host.childElementCount).toBe(0);
  });
});

describe('ticks', () => {
  const texts = (...args: Parameters<typeof numberScale>) =>
    numberScale(...args)
      .ticks(5)
      .map(({ text }) => text);

  it('of a log axis are digits of one decade and powers of many', () => {
    expect(texts('log', [1, 5], [0, 100])).toEqual(['1', '2', '3', '4', '5']);
    expect(texts('log', [0.01, 1000], [0, 100])).toEqual([
      '0.01',
      '0.1',
      '1',
      '10',
      '100',
      '1,000'
    ]);
    expect(texts('log', [1.1, 1.3], [0, 100]).length).toBeGreaterThan(2);
  });

  it('stand at whole places', () => {
    expect(texts('linear', [0, 100], [0, 100])).toEqual([
      '0',
      '20',
      '40',
      '60',
      '80',
      '100'
    ]);
    expect(numberScale('linear', [3, 3], [0, 100]).at(3)).toBe(0);
  });
});
