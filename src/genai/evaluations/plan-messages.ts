import type { TranslationBundle } from '@jupyterlab/translation';

import type { IPlan, IPlannedCalls } from './service';

/** The calls of one model in one part: it answers, plays the user, or judges. */
export interface IPart {
  readonly part: 'answers' | 'user' | 'judge';
  readonly calls: IPlannedCalls;
}

/** All calls of a plan. */
export function partsOf({ models, judges, user }: IPlan): IPart[] {
  return [
    ...models.map(calls => ({ part: 'answers' as const, calls })),
    ...(user ? [{ part: 'user' as const, calls: user }] : []),
    ...judges.map(calls => ({ part: 'judge' as const, calls }))
  ];
}

/** What a plan costs at most, by currency; null if the cost of a call is not known. */
export function mostOf(plan: IPlan): Map<string, number> | null {
  const found = new Map<string, number>();
  for (const { calls } of partsOf(plan)) {
    const { money, currency = 'USD' } = calls;
    if (money === null) {
      return null;
    }
    found.set(currency, (found.get(currency) ?? 0) + money);
  }
  return found;
}

/** Why the cost is not known, a sentence for each model. */
export function unknownCosts(plan: IPlan, trans: TranslationBundle): string[] {
  const found = partsOf(plan)
    .filter(({ calls }) => calls.money === null)
    .map(({ calls }) => reasonOf(calls, trans));
  return [...new Set(found)];
}

function reasonOf(calls: IPlannedCalls, trans: TranslationBundle): string {
  const { model } = calls;
  if (calls.calls === null) {
    return trans.__(
      'The number of calls of %1 is not known before the start.',
      model
    );
  }
  if (!calls.price) {
    return trans.__(
      '%1 has no price. Add the price to the endpoint or to the file.',
      model
    );
  }
  return calls.output_tokens === null
    ? trans.__(
        'No max_tokens bounds the answers of %1. Add max_tokens to settings.',
        model
      )
    : trans.__(
        'The input of %1 depends on answers whose length is not known.',
        model
      );
}

/** When the prices of a plan were true: "2026-11-02 (small, large)". */
export function priceDates(plan: IPlan, trans: TranslationBundle): string {
  const byDate = new Map<string, Set<string>>();
  for (const { calls } of partsOf(plan)) {
    if (calls.price) {
      const date = calls.price.date || trans.__('no date');
      byDate.set(date, (byDate.get(date) ?? new Set()).add(calls.model));
    }
  }
  return [...byDate]
    .map(([date, models]) =>
      byDate.size > 1 ? `${date} (${[...models].join(', ')})` : date
    )
    .join(', ');
}
