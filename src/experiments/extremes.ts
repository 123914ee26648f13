/**
 * Reads the lowest and highest values of a run's metrics from its tag; runs
 * that GenOps tracked have it.
 */

/** `{"loss":[0.5,30,2.5,0]}`: the lowest value, its first step, the highest, its first step. */
export const EXTREMES = 'genops.extremes';

export interface IExtreme {
  readonly value: number;
  readonly step: number;
}

/**
 * Return the lowest or the highest value of a metric; undefined if the tag
 * lacks it.
 */
export function extreme(
  tag: string,
  metric: string,
  which: 'min' | 'max'
): IExtreme | undefined {
  if (tag !== last.tag) {
    last = { tag, all: parsed(tag) };
  }
  const found = last.all[metric];
  if (!Array.isArray(found)) {
    return undefined;
  }
  const [value, step] = found.slice(which === 'min' ? 0 : 2);
  return typeof value === 'number' && typeof step === 'number'
    ? { value, step }
    : undefined;
}

/** The cells of a row are drawn one after the other. */
let last: { tag: string; all: Record<string, unknown> } = { tag: '', all: {} };

function parsed(tag: string): Record<string, unknown> {
  try {
    const all: unknown = JSON.parse(tag);
    return typeof all === 'object' && all !== null
      ? (all as Record<string, unknown>)
      : {};
  } catch {
    return {}; // A user has edited the tag.
  }
}
