/**
 * Reads metrics that became NaN or infinite from the run's tag, which the
 * kernel writes.
 */

/** `loss is NaN since step 3, reward is -Infinity since step 9`. */
export const DIVERGED = 'genops.diverged';

export interface IDivergence {
  readonly metric: string;
  /** `NaN`, `Infinity` or `-Infinity`. */
  readonly value: string;
  /** The first step with that value. */
  readonly step: number;
}

/**
 * Return the metrics in a run's tag; a part that the tag's size limit cut is
 * left out.
 */
export function divergences(tag: string | null | undefined): IDivergence[] {
  return [
    ...(tag ?? '').matchAll(
      /(?:^|, )(.+?) is (NaN|-?Infinity) since step (-?\d+)(?=, |$)/g
    )
  ].map(([, metric, value, step]) => ({ metric, value, step: Number(step) }));
}
