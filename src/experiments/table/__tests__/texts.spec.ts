import { asCsv, asDataFrame } from '../copies';
import { around, completed, pointsAt } from '../query-text';
import { asSavedViews, asView, FIRST_VIEW, moved, turned } from '../view-state';

const FRAME = {
  columns: [
    { name: 'run_name', kind: 'text' as const },
    { name: 'start_time', kind: 'number' as const },
    { name: 'metrics.loss', kind: 'number' as const }
  ],
  rows: [
    ['a "b", c', 0, 0.25],
    ['two\nlines', null, 'NaN']
  ]
};

describe('copies', () => {
  it('are CSV by its rules', () => {
    expect(asCsv(FRAME)).toBe(
      'run_name,start_time,metrics.loss\r\n' +
        '"a ""b"", c",1970-01-01T00:00:00.000Z,0.25\r\n' +
        '"two\nlines",,NaN\r\n'
    );
  });

  it('are Python that makes a DataFrame', () => {
    const code = asDataFrame(FRAME);
    expect(code).toContain('("a \\"b\\", c", 0, 0.25, ),');
    expect(code).toContain('("two\\nlines", None, float("NaN"), ),');
    expect(code).toContain('runs["start_time"] = pd.to_datetime(');
  });
});

describe('a query', () => {
  it('takes a completion at its place, counted in code points', () => {
    const text = 'tags.🙂 = 1 AND metr = 2';
    const start = pointsAt(text, text.indexOf('metr'));
    expect(
      completed(text, {
        text: 'metrics.loss',
        start,
        end: start + 4,
        kind: 'metric'
      })
    ).toEqual({
      text: 'tags.🙂 = 1 AND metrics.loss = 2',
      cursor: 'tags.🙂 = 1 AND metrics.loss '.length
    });
  });

  it('is followed by a blank, but for a parenthesis', () => {
    expect(
      completed('', { text: 'NOT', start: 0, end: 0, kind: 'keyword' }).text
    ).toBe('NOT ');
    expect(
      completed('', { text: '(', start: 0, end: 0, kind: 'keyword' })
    ).toEqual({ text: '(', cursor: 1 });
  });

  it('is pointed at where it is wrong', () => {
    expect(around('🙂 ORR x', 2, 3)).toEqual(['🙂 ', 'ORR', ' x']);
    expect(around('a', 1, 1)).toEqual(['a', '', '']);
  });
});

describe('a view', () => {
  it('is read whatever was kept', () => {
    expect(asView(undefined)).toEqual(FIRST_VIEW);
    expect(
      asView({
        columns: [
          { name: 'a', width: 1e9, pinned: 1 },
          { name: 'a' },
          7,
          { width: 3 }
        ],
        sort: [{ column: 'a' }, 'x'],
        query: 5,
        experiments: ['1', 2],
        lifecycle: 'gone'
      })
    ).toEqual({
      columns: [{ name: 'a' }],
      sort: [{ column: 'a', descending: false }],
      query: '',
      groups: [],
      experiments: ['1'],
      lifecycle: 'active'
    });
    expect(asSavedViews([{ name: 'x' }, { query: 'y' }, null])).toEqual([
      { name: 'x', ...FIRST_VIEW }
    ]);
  });

  it('has its columns moved, and pinned where they come to stand', () => {
    const columns = [{ name: 'a', pinned: true }, { name: 'b' }, { name: 'c' }];
    expect(moved(columns, 'c', 'b').map(({ name }) => name)).toEqual([
      'a',
      'c',
      'b'
    ]);
    expect(moved(columns, 'c', 'a')[0]).toEqual({ name: 'c', pinned: true });
  });

  it('sorts by one column in turns, or by several', () => {
    const up = turned([], 'a', false);
    expect(up).toEqual([{ column: 'a', descending: false }]);
    expect(turned(up, 'a', false)).toEqual([{ column: 'a', descending: true }]);
    const both = turned(up, 'b', true);
    expect(both.map(({ column }) => column)).toEqual(['a', 'b']);
    expect(turned(turned(both, 'a', true), 'a', true)).toEqual([
      { column: 'b', descending: false }
    ]);
  });
});
