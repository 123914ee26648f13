import { formatMoney } from '../money';

it('writes amounts as people read them', () => {
  const spent = (amount: number) => formatMoney(amount);
  expect(spent(0)).toBe('0 USD');
  expect(spent(0.000001)).toBe('< 0.0001 USD');
  expect(spent(0.0000684)).toBe('0.0001 USD');
  expect(spent(0.09053)).toBe('0.0905 USD');
  expect(spent(0.99996)).toBe('1 USD');
  expect(spent(1.125)).toBe('1.13 USD');
  expect(spent(2.5)).toBe('2.5 USD');
  expect(spent(123.456)).toBe('123.46 USD');
  expect(formatMoney(12345.678, 'EUR')).toBe('12,345.68 EUR');
});

it('rounds an upper bound up, and leaves what a person wrote', () => {
  const most = (amount: number) => formatMoney(amount, 'USD', 'most');
  expect(most(0)).toBe('0 USD');
  expect(most(0.000001)).toBe('0.0001 USD');
  expect(most(0.09053)).toBe('0.0906 USD');
  expect(most(0.1 + 0.2)).toBe('0.3 USD');
  expect(most(2.501)).toBe('2.51 USD');
  const given = (amount: number) => formatMoney(amount, 'EUR', 'given');
  expect(given(0.000001)).toBe('0.000001 EUR');
  expect(given(0.00012346)).toBe('0.0001235 EUR');
  expect(given(12345.678)).toBe('12,345.68 EUR');
});
