import type { TranslationBundle } from '@jupyterlab/translation';

import { formatMoney } from '../../core/money';

/** What calls cost at most; `money` is null where a model has no price, or prices have several currencies. */
interface ICost {
  readonly calls: number;
  readonly tokens: number;
  readonly money: number | null;
  readonly currency?: string;
  readonly without_price: readonly string[];
}

/** "24 calls with at most 900 tokens, at most 0.03 USD." */
export function callsText(cost: ICost, trans: TranslationBundle): string {
  const { calls, tokens, money, currency = 'USD', without_price } = cost;
  const said = trans._n(
    '%1 call with at most %2 tokens',
    '%1 calls with at most %2 tokens',
    calls,
    tokens.toLocaleString()
  );
  if (money !== null) {
    return trans.__(
      '%1, at most %2.',
      said,
      formatMoney(money, currency, 'most')
    );
  }
  return without_price.length > 0
    ? trans.__(
        '%1. The price is unknown: %2 has none.',
        said,
        without_price.join(', ')
      )
    : trans.__(
        '%1. The prices have several currencies, so there is no sum.',
        said
      );
}

/** "20 rows of data with the digest 0123456789ab." */
export function rowsText(
  count: number,
  digest: string,
  trans: TranslationBundle
): string {
  return trans._n(
    '%1 row of data with the digest %2.',
    '%1 rows of data with the digest %2.',
    count,
    digest.slice(0, 12)
  );
}

/** When some work began, and the last part of the name of its rows. */
export function whenAndWhere(createdAt: number, data: string): string {
  const when = new Date(createdAt * 1000).toLocaleString(undefined, {
    dateStyle: 'short',
    timeStyle: 'short'
  });
  return [when, data.slice(data.lastIndexOf('/') + 1)].join(' · ');
}
