import type { Color } from 'culori';
import {
  differenceCiede2000,
  filterDeficiencyDeuter,
  filterDeficiencyProt,
  filterDeficiencyTrit,
  parse,
  wcagContrast
} from 'culori';

import { SERIES } from '../look';

const parsed = (color: string): Color => parse(color)!;

const VISIONS = {
  usual: (color: Color) => color,
  protanopia: filterDeficiencyProt(1),
  deuteranopia: filterDeficiencyDeuter(1),
  tritanopia: filterDeficiencyTrit(1)
};

describe('the colours of series', () => {
  it.each(Object.keys(VISIONS) as (keyof typeof VISIONS)[])(
    'differ for people with %s',
    vision => {
      const difference = differenceCiede2000();
      const seen = SERIES.map(color => VISIONS[vision](parsed(color)));
      for (const [place, one] of seen.entries()) {
        for (const [before, other] of seen.slice(0, place).entries()) {
          expect([before, place, difference(one, other) >= 11]).toEqual([
            before,
            place,
            true
          ]);
        }
      }
    }
  );

  it.each(['#ffffff', '#111111', '#212121'])(
    'can be read on %s',
    background => {
      for (const color of SERIES) {
        expect(wcagContrast(color, background)).toBeGreaterThanOrEqual(3);
      }
    }
  );
});
