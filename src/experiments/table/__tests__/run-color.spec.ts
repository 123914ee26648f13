import { RunColors } from '../run-color';

const MANY = Array.from({ length: 100 }, (_, at) => `run${at}`);

describe('RunColors', () => {
  const colorsOf = (colors: RunColors, ids: readonly string[]) =>
    new Set(ids.map(id => colors.of(id)));

  it('tells all runs apart as long as there are colours', () => {
    const colors = new RunColors();
    for (let begin = 0; begin + 8 <= MANY.length; begin += 7) {
      const ids = MANY.slice(begin, begin + 8);
      colors.show(ids);
      expect(colorsOf(colors, ids).size).toBe(8);
    }
  });

  it('keeps the colour of a run that is shown while others come and go', () => {
    const colors = new RunColors();
    colors.show(MANY.slice(0, 6));
    const before = MANY.slice(0, 6).map(id => colors.of(id));
    colors.show([...MANY.slice(50, 56), ...MANY.slice(0, 6)]);
    expect(MANY.slice(0, 6).map(id => colors.of(id))).toEqual(before);
    colors.show(MANY);
    expect(MANY.slice(0, 6).map(id => colors.of(id))).toEqual(before);
  });

  it('spreads many runs evenly, and tells the few that are left apart', () => {
    const colors = new RunColors();
    colors.show(MANY);
    const counts = new Map<string, number>();
    MANY.forEach(id =>
      counts.set(colors.of(id), (counts.get(colors.of(id)) ?? 0) + 1)
    );
    expect([...counts.values()].every(count => count <= 13)).toBe(true);
    const alike = MANY.filter(id => colors.of(id) === colors.of(MANY[0])).slice(
      0,
      8
    );
    colors.show(alike);
    expect(colorsOf(colors, alike).size).toBe(alike.length);
  });

  it('says when a run has another colour, and only then', () => {
    const colors = new RunColors();
    let told = 0;
    colors.changed.connect(() => {
      told += 1;
    });
    colors.show(MANY.slice(0, 1));
    expect(told).toBe(0); // that which its id gives
    colors.show(MANY);
    expect(told).toBe(1);
    colors.show(MANY);
    expect(told).toBe(1);
  });

  it('tells the first runs apart, however many follow', () => {
    const colors = new RunColors();
    colors.show(MANY);
    const alike = MANY.filter(id => colors.of(id) === colors.of(MANY[0]));
    colors.show([...alike, ...MANY]);
    expect(colorsOf(colors, alike.slice(0, 8)).size).toBe(8);
  });

  it('colours the runs of the table while no charts show any', () => {
    const colors = new RunColors();
    const [table, charts] = [MANY.slice(0, 8), MANY.slice(20, 28)];
    colors.list(table);
    expect(colorsOf(colors, table).size).toBe(8);
    colors.show(charts);
    expect(colorsOf(colors, charts).size).toBe(8);
    const before = charts.map(id => colors.of(id));
    colors.list(MANY.slice(0, 16));
    expect(charts.map(id => colors.of(id))).toEqual(before);
    colors.leave();
    expect(colorsOf(colors, table).size).toBe(8);
  });
});
