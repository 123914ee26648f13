import { around, barOf, formatSpanTime, panned, zoomed } from '../time-range';

const WHOLE = { from: 0, to: 10 };

describe('the shown time', () => {
  it('zooms around a moment, and never leaves the trace', () => {
    expect(zoomed(WHOLE, WHOLE, 4, 0.5)).toEqual({ from: 2, to: 7 });
    expect(zoomed(WHOLE, WHOLE, 10, 0.5)).toEqual({ from: 5, to: 10 });
    expect(zoomed({ from: 2, to: 7 }, WHOLE, 4, 100)).toEqual(WHOLE);
    const close = zoomed({ from: 1, to: 1 + 1e-6 }, WHOLE, 1, 0.001);
    expect(close.to - close.from).toBeCloseTo(1e-6, 9);
  });

  it('moves up to the ends', () => {
    expect(panned({ from: 2, to: 6 }, WHOLE, 0.5)).toEqual({ from: 4, to: 8 });
    expect(panned({ from: 2, to: 6 }, WHOLE, -5)).toEqual({ from: 0, to: 4 });
  });

  it('goes to a span with a margin', () => {
    expect(around(4, 6, WHOLE)).toEqual({ from: 3.9, to: 6.1 });
    expect(around(0, 10, WHOLE)).toEqual(WHOLE);
  });
});

it('cuts a bar at the ends of the shown time', () => {
  expect(barOf(2, 4, WHOLE)).toEqual({ left: 0.2, width: 0.2 });
  expect(barOf(0, 4, { from: 2, to: 6 })).toEqual({ left: 0, width: 0.5 });
  expect(barOf(0, 1, { from: 2, to: 6 })).toBeNull();
  expect(barOf(0, 0, { from: 0, to: 0 })).toEqual({ left: 0, width: 1 });
});

it.each([
  [0, '0 s'],
  [0.0000042, '4.2 µs'],
  [0.0123456, '12.3 ms'],
  [1.234, '1.23 s'],
  [185, '3 min 5 s']
])('writes %d s as %s', (seconds, text) => {
  expect(formatSpanTime(seconds)).toBe(text);
});
