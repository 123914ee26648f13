import { RunSelection } from '../selection';

function make(): { selection: RunSelection; asked: string[] } {
  const asked: string[] = [];
  const selection = new RunSelection(async (first, end) => {
    asked.push(`${first}-${end}`);
    return Array.from({ length: end - first }, (_, at) => `run${first + at}`);
  });
  return { selection, asked };
}

describe('the selection of runs', () => {
  it('takes in rows that were never fetched', async () => {
    const { selection, asked } = make();
    selection.toggle('run3', 3);
    await selection.extend(4000);
    expect(asked).toEqual(['3-4001']);
    expect(selection.count(10_000)).toBe(3998);
    expect(selection.has('run4000')).toBe(true);
    expect(selection.has('run4001')).toBe(false);
  });

  it('follows the end of a range, both ways from its beginning', async () => {
    const { selection } = make();
    selection.toggle('run5', 5);
    await selection.extend(8);
    await selection.extend(6);
    expect(selection.count(10)).toBe(2);
    await selection.extend(3);
    expect(['run3', 'run4', 'run5'].every(id => selection.has(id))).toBe(true);
    expect(selection.count(10)).toBe(3);
  });

  it('keeps what was selected apart from a range that shrinks', async () => {
    const { selection } = make();
    selection.toggle('run7', 7);
    selection.toggle('run5', 5);
    await selection.extend(8);
    await selection.extend(5);
    expect(selection.has('run7')).toBe(true);
    expect(selection.has('run6')).toBe(false);
  });

  it('selects all that match but for some', async () => {
    const { selection, asked } = make();
    selection.selectAll();
    expect(selection.count(10_000)).toBe(10_000);
    selection.toggle('run2', 2);
    await selection.extend(4);
    expect(selection.count(10_000)).toBe(9997);
    expect(selection.has('run3')).toBe(false);
    expect(selection.has('unheard of')).toBe(true);
    expect(asked).toEqual(['2-5']);
    selection.clear();
    expect(selection.count(10_000)).toBe(0);
  });

  it('drops a range whose ids come after it was cleared', async () => {
    let answer: (ids: string[]) => void = () => undefined;
    const selection = new RunSelection(
      () => new Promise(resolve => (answer = resolve))
    );
    selection.toggle('a', 0);
    const extended = selection.extend(1);
    selection.clear();
    answer(['a', 'b']);
    await extended;
    expect(selection.count(2)).toBe(0);
  });
});
