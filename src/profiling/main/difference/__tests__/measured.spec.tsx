import { cleanup, render, screen } from '@testing-library/react';
import * as React from 'react';

import { settle } from '../../../../tasks/__tests__/support';
import { Resource } from '../../../../core';
import type { IProfile } from '../../../service';
import {
  makeChange,
  makeDifference,
  makeSummary,
  trans
} from '../../__tests__/support';
import {
  makeBareKernel,
  makeMeasuredKernel,
  makeMeasurement
} from '../../nsight-compute/__tests__/support';
import type { ICompared } from '../difference';
import { ProfileDifference } from '../difference';
import { measuredChangeColumns, measuredChanges } from '../nsight-compute';
import { launchWords } from '../messages';

class NoObserver {
  observe = (): void => undefined;
  unobserve = (): void => undefined;
  disconnect = (): void => undefined;
}

describe('two measurements', () => {
  beforeAll(() => {
    globalThis.ResizeObserver ??= NoObserver as typeof ResizeObserver;
  });

  afterEach(cleanup);

  const [small, large] = ['[4, 1, 1]', '[64, 1, 1]'].map(grid => ({
    grid,
    block: '[256, 1, 1]'
  }));
  const one = makeMeasurement([
    makeMeasuredKernel({
      name: 'gemm',
      ...large,
      count: 2,
      total_us: 200,
      bound: 'compute'
    }),
    makeBareKernel({ name: 'gone', ...small, count: 1, total_us: 10 })
  ]);
  const other = makeMeasurement([
    // The same kernel from two lines, and with another grid.
    makeMeasuredKernel({
      name: 'gemm',
      ...large,
      count: 3,
      total_us: 210,
      compute_pct: 40,
      memory_pct: 90,
      occupancy_pct: null,
      bound: 'memory'
    }),
    makeMeasuredKernel({
      name: 'gemm',
      ...large,
      count: 1,
      total_us: 70,
      compute_pct: 80,
      memory_pct: 50,
      occupancy_pct: null,
      bound: 'compute'
    }),
    makeBareKernel({ name: 'gemm', ...small, count: 1, total_us: 5 })
  ]);
  const changes = [
    makeChange({
      name: 'gemm',
      before_us: 200,
      before_count: 2,
      before_with: [large],
      after_us: 280,
      after_count: 4,
      after_with: [large]
    }),
    makeChange({
      name: 'gemm',
      state: 'added',
      before_us: 0,
      before_count: 0,
      after_us: 5,
      after_count: 1,
      after_with: [small]
    }),
    makeChange({
      name: 'gone',
      state: 'removed',
      before_us: 10,
      before_count: 1,
      before_with: [small],
      after_us: 0,
      after_count: 0
    })
  ];

  it('stand side by side by grid and block: a launch each, means by time', () => {
    const told = measuredChanges(changes, one, other).map(change =>
      measuredChangeColumns(trans).map(({ value, words }) => {
        const found = value(change);
        return typeof found === 'number' ? words?.(found, change) : found;
      })
    );
    const none = (count: number) => Array<null>(count).fill(null);
    expect(told).toEqual([
      [
        'gemm',
        '[64] × [256]',
        '−30 µs',
        '100 µs',
        '70 µs',
        '78 %',
        '50 %',
        '46 %',
        '80 %',
        '84 %',
        null,
        'compute → memory',
        '2',
        '4'
      ],
      ['gemm', '[4] × [256]', null, null, '5 µs', ...none(7), null, '1'],
      ['gone', '[4] × [256]', null, '10 µs', null, ...none(7), '1', null]
    ]);
  });

  it('tell their launches where those became others, and keep times of kernels that are not told', () => {
    const became = makeChange({
      name: 'far below',
      before_us: 3,
      before_count: 3,
      before_with: [small],
      after_us: 8,
      after_count: 2,
      after_with: [small, large]
    });
    expect(launchWords(became, trans)).toBe('[4] × [256] → 2 different');
    expect(
      launchWords({ before_with: [small], after_with: [large] }, trans)
    ).toBe('[4] × [256] → [64] × [256]');
    const [{ before, after }] = measuredChanges([became], one, other);
    expect([before?.mean_us, after?.mean_us]).toEqual([1, 4]);
    expect(before?.bound).toBe('');
  });

  async function show(after: IProfile['summary']): Promise<void> {
    const resource = new Resource<ICompared>({
      fetch: () =>
        Promise.resolve({
          before: {
            title: 'a',
            summary: makeSummary({ measured: one })
          } as IProfile,
          after: { title: 'b', summary: after } as IProfile,
          difference: makeDifference({ a_step: false, kernels: changes })
        }),
      trans
    });
    await resource.refresh();
    render(
      <ProfileDifference
        resource={resource}
        onOpen={() => undefined}
        onOpenRun={() => undefined}
        onSwap={() => undefined}
        trans={trans}
      />
    );
    await settle();
  }

  it('are what is compared first, where both were measured', async () => {
    await show(makeSummary({ measured: other }));
    expect(screen.getByRole('tab', { selected: true }).textContent).toBe(
      'Measured GPU kernels'
    );
    expect(
      screen.getByRole('grid', { name: 'Measured GPU kernels' })
    ).toBeTruthy();
    expect(screen.getByText('3 rows')).toBeTruthy();
    expect(screen.getByText(/^Nsight Compute measured both/)).toBeTruthy();
    expect(screen.queryByText(/whole traces|steps/)).toBeNull();
  });

  it('are no part of a comparison with a trace', async () => {
    await show(makeSummary());
    expect(screen.getByRole('tab', { selected: true }).textContent).toBe(
      'Figures'
    );
    expect(screen.queryByText('Measured GPU kernels')).toBeNull();
    expect(
      screen.getByText(/^All times are totals of the traces/)
    ).toBeTruthy();
  });
});
