import type { Rgb } from 'culori';
import {
  converter,
  differenceCiede2000,
  filterDeficiencyDeuter,
  filterDeficiencyProt,
  filterDeficiencyTrit,
  wcagContrast
} from 'culori';

import { SERIES } from '../look';

const rgb = converter('rgb');

const VISIONS: Record<string, (color: string) => Rgb> = {
  usual: color => rgb(color)!,
  protanopia: color => rgb(filterDeficiencyProt(1)(rgb(color)!)),
  deuteranopia: color => rgb(filterDeficiencyDeuter(1)(rgb(color)!)),
  tritanopia: color => rgb(filterDeficiencyTrit(1)(rgb(color)!))
};

describe('the colours of series', () => {
  it.each(Object.keys(VISIONS))('differ for people with %s', vision => {
    const difference = differenceCiede2000();
    const seen = SERIES.map(color => VISIONS[vision](color));
    for (const [place, one] of seen.entries()) {
      for (const [before, other] of seen.slice(0, place).entries()) {
        expect([before, place, difference(one, other) >= 11]).toEqual([
          before,
          place,
          true
        ]);
      }
    }
  });

  it.each(['#ffffff', '#111111', '#212121'])(
    'can be read on %s',
    background => {
      for (const color of SERIES) {
        expect(wcagContrast(color, background)).toBeGreaterThanOrEqual(3);
      }
    }
  );
});
