/** Format amounts of money, by the same rule as the server (`runtime/money.py`). */

/**
 * - spent: rounded to four decimals below 1, to two above.
 * - most: an upper bound, rounded up to as many.
 * - given: what a person wrote, or the price of a small unit, with four digits.
 */
export type MoneyKind = 'spent' | 'most' | 'given';

/** Below 1, from 1, from 1,000, and those that are given. */
type Size = 'small' | 'middle' | 'large' | 'given';

const OPTIONS: Record<Size, Intl.NumberFormatOptions> = {
  small: { maximumFractionDigits: 4 },
  middle: { maximumFractionDigits: 2 },
  large: { minimumFractionDigits: 2, maximumFractionDigits: 2 },
  given: { maximumSignificantDigits: 4 }
};
// Kept: a table formats hundreds of times a frame, and each toLocaleString makes a new formatter.
const formats: Partial<Record<Size, Intl.NumberFormat>> = {};

/** Format an amount with its currency, such as `0.0123 USD`, `< 0.0001 USD` or `12,345.68 EUR`. */
export function formatMoney(
  amount: number,
  currency = 'USD',
  kind: MoneyKind = 'spent'
): string {
  const size: Size =
    amount >= 1000
      ? 'large'
      : kind === 'given'
        ? 'given'
        : amount < 1
          ? 'small'
          : 'middle';
  const format = (formats[size] ??= new Intl.NumberFormat(
    undefined,
    OPTIONS[size]
  ));
  if (kind === 'spent' && amount > 0 && amount < 0.00005) {
    return `< ${format.format(0.0001)} ${currency}`;
  }
  const shown = kind === 'most' ? up(amount) : amount;
  return `${format.format(shown)} ${currency}`;
}

/** Round up; what a float adds to a sum is not rounded up. */
function up(amount: number): number {
  const steps = amount < 1 ? 10_000 : 100;
  return Math.ceil(Number((amount * steps).toPrecision(10))) / steps;
}
