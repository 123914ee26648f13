import { formatMoney } from '../money';

it('keeps the digits of small amounts and the cents of large ones', () => {
  expect(formatMoney(0)).toBe('0 USD');
  expect(formatMoney(0.000001)).toBe('0.000001 USD');
  expect(formatMoney(0.00012346, 'EUR')).toBe('0.0001235 EUR');
  expect(formatMoney(12.3456)).toBe('12.35 USD');
  expect(formatMoney(12345.678, 'EUR')).toBe('12,345.68 EUR');
});
