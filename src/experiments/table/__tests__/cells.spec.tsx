import { cleanup, render } from '@testing-library/react';
import * as React from 'react';

import { divergences } from '../../diverged';
import type { CellValue } from '../rows';
import { CellContent } from '../view/cells';

import { FakeTable, trans } from './support';

describe('a cell', () => {
  afterEach(cleanup);

  /** The cell of one column of a run with these values. */
  function cell(column: string, values: Record<string, CellValue>): Element {
    const columns = new Map(
      Object.entries(values).map(([name, value]) => [
        name,
        { column: name, kind: 'text' as const, values: [value ?? null] }
      ])
    );
    const row = { index: 0, id: 'run0', group: null, columns, at: 0 };
    const model = new FakeTable(1).model();
    const { container } = render(
      <CellContent row={row} column={column} model={model} trans={trans} />
    );
    model.dispose();
    return container.firstElementChild!;
  }

  it('rounds a parameter, whose title has all digits', () => {
    const rate = cell('params.lr', { 'params.lr': '0.004491230098' });
    expect(rate.textContent).toBe('0.004491');
    expect(rate.getAttribute('title')).toBe('0.004491230098');
    for (const text of [
      '1234567',
      '0.1',
      '1.2.3456',
      'cnn-0.123456',
      '1e-05'
    ]) {
      expect(cell('params.x', { 'params.x': text }).textContent).toBe(text);
    }
  });

  it('names NaN and a late infinity in red with the first step, and a start value in grey', () => {
    const diverged =
      'val, loss is NaN since step 3, reward is Infinity since step 9';
    const values = {
      'metrics.val, loss': 'NaN',
      'metrics.reward': 'Infinity',
      // As SQLite has it.
      'metrics.best': Number.MAX_VALUE,
      'tags.genops.diverged': diverged
    };
    const red = (name: string) =>
      cell(name, values).querySelector('.gol-RunTable-diverged')?.textContent;
    expect(red('metrics.val, loss')).toBe('NaN at 3');
    expect(red('metrics.reward')).toBe('Infinity at 9');
    expect(red('metrics.best')).toBeUndefined();
    expect(
      cell('metrics.best', values).querySelector('.gol-RunTable-quiet')
        ?.textContent
    ).toBe('Infinity');
    // Of a run that GenOps did not track the step is not known.
    const foreign = cell('metrics.loss', { 'metrics.loss': 'NaN' });
    expect(foreign.querySelector('.gol-RunTable-diverged')?.textContent).toBe(
      'NaN'
    );
  });

  it('reads no part of the tag that its bound cut', () => {
    expect(divergences('a is NaN since step 3, b is Infin')).toEqual([
      { metric: 'a', value: 'NaN', step: 3 }
    ]);
  });
});
