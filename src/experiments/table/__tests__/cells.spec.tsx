import { act, cleanup, render, screen } from '@testing-library/react';
import * as React from 'react';

import { divergences } from '../../diverged';
import type { CellValue } from '../rows';
import type { IRunColumn, IRunSort } from '../service';
import { CellContent } from '../view/cells';

import { FakeTable, trans } from './support';

function columnsOf(values: Record<string, CellValue>): Map<string, IRunColumn> {
  return new Map(
    Object.entries(values).map(([name, value]) => [
      name,
      { column: name, kind: 'text', values: [value ?? null] }
    ])
  );
}

describe('a cell', () => {
  afterEach(cleanup);

  /** The cell of one column of a run with these values. */
  function cell(
    column: string,
    values: Record<string, CellValue>,
    sort: IRunSort[] = []
  ): Element {
    const columns = columnsOf(values);
    const row = { index: 0, id: 'run0', group: null, columns, at: 0 };
    const model = new FakeTable(1).model();
    model.setView({ sort });
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

  it('has the best value beside the last, as the sort or the name of the metric tells', () => {
    const best = (
      metric: string,
      last: CellValue,
      sort: IRunSort[] = [],
      tag = '{"loss":[0.25,3,2.5,0],"acc":[0.5,0,0.91234,7],"size":[1,0,9,4]}'
    ) => {
      const column = `metrics.${metric}`;
      const values = { [column]: last, 'tags.genops.extremes': tag };
      const found = cell(column, values, sort);
      const text = found.querySelector('.gol-RunTable-best')?.textContent;
      return text ? [text, found.getAttribute('title')] : null;
    };
    const by = (column: string, descending: boolean) => [
      { column, descending }
    ];
    expect(best('loss', 0.5)).toEqual([
      'min 0.2500',
      '0.5\nlowest 0.25 at step 3'
    ]);
    expect(best('acc', 0.75)?.[0]).toBe('max 0.9123');
    expect(best('acc', 0.75, by('metrics.acc', false))?.[0]).toBe('min 0.5000');
    expect(best('size', 5, by('metrics.size', true))?.[0]).toBe('max 9');
    expect(best('loss', 'NaN')?.[0]).toBe('min 0.2500');
    // The direction is not known, the last is the best (to four digits), others logged a better one.
    expect(best('size', 5, by('metrics.acc', true))).toBeNull();
    expect(best('acc', 0.9123)).toBeNull();
    expect(best('loss', 0.1)).toBeNull();
    // A run that GenOps did not track, and a tag that a person changed.
    expect(best('loss', 0.5, [], '')).toBeNull();
    expect(best('loss', 0.5, [], '{"loss":3')).toBeNull();
    expect(best('loss', 0.5, [], '{"loss":[null,{}]}')).toBeNull();
  });

  it('says beside its name that a run which goes on has logged no metric for long, as the server has it', async () => {
    jest.useFakeTimers();
    const table = new FakeTable(1);
    table.stalled_s = 425;
    const model = table.model();
    model.visible = true;
    const named = (status: string) => {
      const values = { run_name: 'fox', status, 'metrics.loss': 1 };
      const columns = columnsOf(values);
      const row = { index: 0, id: status, group: null, columns, at: 0 };
      return <CellContent {...{ row, model, trans }} column="run_name" />;
    };
    try {
      render(
        <>
          {named('RUNNING')}
          {named('FINISHED')}
        </>
      );
      await act(() => jest.advanceTimersByTimeAsync(1000));
      expect(screen.getAllByText(/no metric for/)).toHaveLength(1);
      expect(screen.getByText('no metric for 7 min')).toBeTruthy();
      table.stalled_s = null;
      await act(() => jest.advanceTimersByTimeAsync(60_000));
      await act(() => jest.advanceTimersByTimeAsync(1000));
      expect(screen.queryByText(/no metric for/)).toBeNull();
      expect(table.changes).toEqual(['latest RUNNING', 'latest RUNNING']);
    } finally {
      model.dispose();
      jest.useRealTimers();
    }
  });

  it('reads no part of the tag that its bound cut', () => {
    expect(divergences('a is NaN since step 3, b is Infin')).toEqual([
      { metric: 'a', value: 'NaN', step: 3 }
    ]);
  });
});
