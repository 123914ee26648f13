/** Metrics that are no numbers any more, as the kernel names them in a tag of the run. */

/** `loss is NaN since step 3, reward is -Infinity since step 9`. */
export const DIVERGED = 'genops.diverged';

export interface IDivergence {
  readonly metric: string;
  /** `NaN`, `Infinity` or `-Infinity`. */
  readonly value: string;
  /** The first step with that value. */
  readonly step: number;
}

/** What a run's tag says; a part that the bound of tags cut is left out. */
export function divergences(tag: string | null | undefined): IDivergence[] {
  return [
    ...(tag ?? '').matchAll(
      /(?:^|, )(.+?) is (NaN|-?Infinity) since step (-?\d+)(?=, |$)/g
    )
  ].map(([, metric, value, step]) => ({ metric, value, step: Number(step) }));
}
