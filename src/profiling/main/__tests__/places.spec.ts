import { isSameLine } from '../lines/groups';
import { cellWords, Places, placeWords } from '../places';

import { makeLine, trans } from './support';

const at = (file: string, line: number, cell = '') => ({
  ...makeLine(line, 1).place,
  file,
  line,
  cell,
  function: ''
});

describe('places in words', () => {
  it('have the number that the notebook shows, where it is known', () => {
    expect(placeWords(at('[2]', 5, '72aa9305-1'), trans)).toBe('[2] line 5');
    expect(placeWords(at('[2]', 0, '72aa9305-1'), trans)).toBe('[2]');
    expect(placeWords(at('[3]', 4), trans)).toBe('[3] line 4');
    expect(cellWords(at('[2]', 5, '72aa9305-1'), trans)).toBe('Cell [2]');
  });

  it('else the cell’s id, or the file', () => {
    const id = '72aa9305-1';
    expect(placeWords(at(id, 5, id), trans)).toBe('Cell 72aa9305, line 5');
    expect(cellWords(at(id, 5, id), trans)).toBe('Cell 72aa9305');
    expect(placeWords(at('train.py', 12), trans)).toBe('train.py:12');
  });

  it('of a cell without an id are no file that could be opened', () => {
    const places = new Places({} as never, null, trans);
    expect(places.canOpen(at('[3]', 4), 'a.ipynb')).toBe(false);
    expect(places.canOpen(at('train.py', 4), '')).toBe(true);
  });
});

describe('a line that was profiled', () => {
  it('is the same where what was kept of it is there', () => {
    expect(isSameLine('x = 1', '  x = 1')).toBe(true);
    expect(isSameLine('', 'x = 1')).toBe(true);
    expect(isSameLine('x = 1', 'x = 2')).toBe(false);
  });

  it('was perhaps cut, or had a secret taken out', () => {
    expect(isSameLine('call(first, …', 'call(first, second)')).toBe(true);
    expect(isSameLine('call(first, …', 'call(second)')).toBe(false);
    const kept = 'login("[redacted: secret value]", 3)';
    expect(isSameLine(kept, 'login("hunter22", 3)')).toBe(true);
    expect(isSameLine(kept, 'login("hunter22", 4)')).toBe(false);
  });
});
