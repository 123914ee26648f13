/** Which examples a person sees, and in which order: what got worse comes first. */
import type { ICompared, IExample } from './service';

/** How the answers of one model differ from those of another. */
export type Change = 'new-failure' | 'worse' | 'mended' | 'better';

/** What the table shows; `low` are examples that mostly fail. */
export type Filter = 'all' | Change | 'low' | 'failed' | 'not-scored';

export const FILTERS: readonly Filter[] = [
  'all',
  'new-failure',
  'worse',
  'mended',
  'better',
  'low',
  'failed',
  'not-scored'
];

/** An example with its change and its place in the comparison. */
export interface IListedExample extends IExample {
  readonly change: Change | undefined;
  readonly order: number;
}

const RANKS: readonly (Change | 'failed' | undefined)[] = [
  'new-failure',
  'worse',
  'failed',
  'mended',
  'better',
  undefined
];

/**
 * Return the change of each example that a comparison names.
 *
 * A new failure passed before and fails now; other examples are worse or better.
 */
export function changesOf(
  compared: ICompared | undefined
): Map<string, Change> {
  const found = new Map<string, Change>();
  const lists: [Change, readonly string[] | null | undefined][] = [
    ['worse', compared?.worse],
    ['better', compared?.better],
    ['new-failure', compared?.new_failures],
    ['mended', compared?.mended]
  ];
  for (const [change, examples] of lists) {
    for (const example of examples ?? []) {
      found.set(example, change);
    }
  }
  return found;
}

/** Return all examples in the order in which a person reads them. */
export function inOrder(
  examples: readonly IExample[],
  compared: ICompared | undefined
): IListedExample[] {
  const changes = changesOf(compared);
  const places = new Map(
    [...(compared?.worse ?? []), ...(compared?.better ?? [])].map(
      (example, at) => [example, at]
    )
  );
  const rankOf = ({ change, results }: IListedExample) =>
    RANKS.indexOf(
      change ?? (results.some(({ failed }) => failed) ? 'failed' : undefined)
    );
  return examples
    .map((each, at) => ({
      ...each,
      change: changes.get(each.example),
      order: places.get(each.example) ?? at
    }))
    .sort(
      (one, other) =>
        rankOf(one) - rankOf(other) ||
        (compared ? 0 : lowest(one) - lowest(other)) ||
        one.order - other.order
    );
}

function lowest({ results }: IExample): number {
  return results[0]?.value ?? Infinity;
}

/** Whether an example passes a filter. */
export function passes(
  { change, results }: IListedExample,
  filter: Filter
): boolean {
  switch (filter) {
    case 'all':
      return true;
    case 'low':
      return results.some(({ value }) => value !== null && value <= 0.5);
    case 'failed':
      return results.some(({ failed }) => failed > 0);
    case 'not-scored':
      return results.some(({ not_scored }) => not_scored > 0);
    default:
      return change === filter;
  }
}

/** Whether an example's id or question has all words of a text. */
export function hasWords({ example, asked }: IExample, text: string): boolean {
  const own = `${example} ${asked}`.toLowerCase();
  return text
    .toLowerCase()
    .split(/\s+/)
    .every(word => own.includes(word));
}
