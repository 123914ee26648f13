/** Format amounts of money, by the same rule as the server (`runtime/money.py`). */

// Kept: a table formats hundreds of times a frame, and each toLocaleString makes a new formatter.
let large: Intl.NumberFormat | undefined;
let small: Intl.NumberFormat | undefined;

/** Format an amount with its currency, such as `0.0001234 USD` or `12,345.68 EUR`. */
export function formatMoney(amount: number, currency = 'USD'): string {
  const format =
    amount >= 1000
      ? (large ??= new Intl.NumberFormat(undefined, {
          minimumFractionDigits: 2,
          maximumFractionDigits: 2
        }))
      : (small ??= new Intl.NumberFormat(undefined, {
          maximumSignificantDigits: 4
        }));
  return `${format.format(amount)} ${currency}`;
}
