import type { ITextChange } from '../service';
import type { SideRow } from '../side-by-side';
import { sideBySide } from '../side-by-side';

function change(part: Partial<ITextChange>): ITextChange {
  return {
    title: '[1]',
    kind: 'changed',
    before: null,
    after: null,
    changes: [],
    left_out: false,
    ...part
  };
}

function shown(row: SideRow): string {
  if (row.kind === 'fold') {
    return `… ${row.hidden}`;
  }
  const side = (line: typeof row.before) =>
    line
      ? `${line.number} ${line.parts.map(({ text, changed }) => (changed ? `[${text}]` : text)).join('')}`
      : '';
  return `${side(row.before)} | ${side(row.after)}`;
}

describe('texts side by side', () => {
  it('marks the words that differ', () => {
    const rows = sideBySide(
      change({
        before: 'import a\nlr = 0.1',
        after: 'import a\nlr = 0.25\nmore',
        changes: [[1, 2, 1, 3]]
      })
    );
    expect(rows.map(shown)).toEqual([
      '1 import a | 1 import a',
      '2 lr = 0.[1] | 2 lr = 0.[25]',
      ' | 3 more'
    ]);
  });

  it('folds equal lines away from changes, and unfolds them', () => {
    const lines = Array.from({ length: 30 }, (_, i) => `line ${i}`);
    const after = [...lines];
    after.splice(15, 1, 'other', 'and one more');
    const text = change({
      before: lines.join('\n'),
      after: after.join('\n'),
      changes: [[15, 16, 15, 17]]
    });
    const rows = sideBySide(text).map(shown);
    expect(rows[0]).toBe('… 12');
    expect(rows[1]).toBe('13 line 12 | 13 line 12');
    expect(rows[rows.length - 2]).toBe('19 line 18 | 20 line 18');
    expect(rows[rows.length - 1]).toBe('… 11');
    const open = sideBySide(text, new Set([0, 19])).map(shown);
    expect(open.length).toBe(31);
    expect(open[30]).toBe('30 line 29 | 31 line 29');
  });

  it('shows a cell that one side alone has', () => {
    expect(
      sideBySide(change({ kind: 'added', after: 'a\nb' })).map(shown)
    ).toEqual([' | 1 a', ' | 2 b']);
    expect(
      sideBySide(change({ kind: 'removed', before: 'a' })).map(shown)
    ).toEqual(['1 a | ']);
  });
});
