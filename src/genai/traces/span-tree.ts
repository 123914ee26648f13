/** The spans of a trace as rows of a tree. The server sends them depth first, with their depths. */

/** What the tree needs of a span. */
export interface ITreeSpan {
  readonly span_id: string;
  /** 0 for a root. */
  readonly depth: number;
}

/** A row of the tree. */
export interface ISpanRow<S> {
  readonly span: S;
  /** Whether the span has children. */
  readonly folds: boolean;
  readonly open: boolean;
  /** Its place among its siblings, from 1. */
  readonly position: number;
  readonly siblings: number;
  /** The row of its parent; -1 for a root. */
  readonly parent: number;
}

/** Return the rows below open spans. */
export function rowsOf<S extends ITreeSpan>(
  spans: readonly S[],
  closed: ReadonlySet<string>
): ISpanRow<S>[] {
  const rows: (ISpanRow<S> & { siblings: number })[] = [];
  /** The row of the span above, by depth. */
  const above: number[] = [];
  /** The rows of the children so far, by the row of their parent. */
  const children = new Map<number, number[]>();
  let hiddenBelow = Infinity;
  spans.forEach((span, at) => {
    const { depth } = span;
    if (depth > hiddenBelow) {
      return;
    }
    const folds = (spans[at + 1]?.depth ?? 0) > depth;
    const open = folds && !closed.has(span.span_id);
    hiddenBelow = folds && !open ? depth : Infinity;
    const parent = depth > 0 ? (above[depth - 1] ?? -1) : -1;
    const siblings = children.get(parent) ?? [];
    siblings.push(rows.length);
    children.set(parent, siblings);
    above.length = depth;
    above[depth] = rows.length;
    rows.push({
      ...{ span, folds, open, parent },
      position: siblings.length,
      siblings: 0
    });
  });
  for (const places of children.values()) {
    for (const place of places) {
      rows[place].siblings = places.length;
    }
  }
  return rows;
}

/** Return the ids of the spans above a span, the nearest first. */
export function spansAbove(spans: readonly ITreeSpan[], id: string): string[] {
  let at = spans.findIndex(({ span_id }) => span_id === id);
  const found: string[] = [];
  let depth = spans[at]?.depth ?? 0;
  for (; at >= 0 && depth > 0; at--) {
    if (spans[at].depth < depth) {
      found.push(spans[at].span_id);
      ({ depth } = spans[at]);
    }
  }
  return found;
}

/** Return the ids of the spans that have children. */
export function parentsIn(spans: readonly ITreeSpan[]): string[] {
  return spans
    .filter(({ depth }, at) => (spans[at + 1]?.depth ?? 0) > depth)
    .map(({ span_id }) => span_id);
}

/** Return the span to show first: the deepest of the first failure, else the first one. */
export function firstShown<S extends ITreeSpan & { readonly status: string }>(
  spans: readonly S[]
): string | null {
  let at = spans.findIndex(({ status }) => status === 'error');
  for (let next = at + 1; at >= 0 && next < spans.length; next++) {
    if (spans[next].depth <= spans[at].depth) {
      break;
    }
    if (spans[next].status === 'error') {
      at = next;
    }
  }
  return spans[Math.max(0, at)]?.span_id ?? null;
}
