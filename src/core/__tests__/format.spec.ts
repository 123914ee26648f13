import { formatDuration } from '../format';

describe('durations', () => {
  it.each([
    [0.3, '300 ms'],
    [1.25, '1.3 s'],
    [83.2, '1 min 23 s'],
    [3600, '1 h'],
    [3800, '1 h 3 min'],
    [NaN, '–']
  ])('of %s seconds', (seconds, text) => {
    expect(formatDuration(seconds)).toBe(text);
  });
});
