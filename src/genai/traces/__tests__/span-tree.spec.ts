import { firstShown, parentsIn, rowsOf, spansAbove } from '../span-tree';

/** Spans by their ids and depths: "a b- c-- d-" is a with b (with c) and d. */
function spans(text: string, failed = '') {
  return text.split(' ').map(word => ({
    span_id: word[0],
    depth: word.length - 1,
    status: failed.includes(word[0]) ? 'error' : 'ok'
  }));
}

function shown(text: string, closed: string[] = []): string {
  return rowsOf(spans(text), new Set(closed))
    .map(({ span }) => span.span_id)
    .join('');
}

describe('the rows of a tree', () => {
  it('leave out what is below closed spans, and nothing else', () => {
    const tree = 'a b- c-- d-- e- f-- g';
    expect(shown(tree)).toBe('abcdefg');
    expect(shown(tree, ['b'])).toBe('abefg');
    expect(shown(tree, ['a'])).toBe('ag');
    expect(shown(tree, ['b', 'c', 'g'])).toBe('abefg');
  });

  it('say place, siblings and parent, as screen readers need them', () => {
    const rows = rowsOf(spans('a b- c-- d-- e- g'), new Set());
    const of = (id: string) => rows.find(({ span }) => span.span_id === id)!;
    expect(of('d')).toMatchObject({ position: 2, siblings: 2, parent: 1 });
    expect(of('e')).toMatchObject({ position: 2, siblings: 2, parent: 0 });
    expect(of('g')).toMatchObject({ position: 2, siblings: 2, parent: -1 });
    expect(of('b')).toMatchObject({ folds: true, open: true });
    expect(of('e').folds).toBe(false);
  });

  it('are there for a chain of 10,000 spans', () => {
    const chain = Array.from({ length: 10_000 }, (_, depth) => ({
      span_id: String(depth),
      depth
    }));
    expect(rowsOf(chain, new Set())).toHaveLength(10_000);
    expect(rowsOf(chain, new Set(['5']))).toHaveLength(6);
    expect(spansAbove(chain, '9999')).toHaveLength(9999);
  });
});

it('names the spans above a span, and those with children', () => {
  const tree = spans('a b- c-- d-- e- f--');
  expect(spansAbove(tree, 'f')).toEqual(['e', 'a']);
  expect(spansAbove(tree, 'a')).toEqual([]);
  expect(spansAbove(tree, 'nowhere')).toEqual([]);
  expect(parentsIn(tree)).toEqual(['a', 'b', 'e']);
});

it('shows the span where a failure began', () => {
  expect(firstShown(spans('a b- c-- d-', 'abc'))).toBe('c');
  expect(firstShown(spans('a b- c-- d-', 'ad'))).toBe('d');
  expect(firstShown(spans('a b-'))).toBe('a');
  expect(firstShown([])).toBeNull();
});
