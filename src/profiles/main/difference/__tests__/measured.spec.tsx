import { cleanup, render, screen } from '@testing-library/react';
import * as React from 'react';

import { settle } from '../../../../tasks/__tests__/support';
import { Resource } from '../../../../core';
import type { IProfile } from '../../../service';
import { SummaryView } from '../../../view/detail';
import {
  makeDevice,
  makeDifference,
  makeSummary,
  trans
} from '../../__tests__/support';
import {
  makeBareKernel,
  makeMeasuredKernel,
  makeMeasurement
} from '../../measured/__tests__/support';
import type { ICompared } from '../difference';
import { ProfileDifference } from '../difference';
import { measuredChangeColumns, measuredChanges } from '../measured';

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

  const one = makeMeasurement([
    makeMeasuredKernel({
      name: 'gemm',
      count: 2,
      total_us: 200,
      bound: 'compute'
    }),
    makeBareKernel({ name: 'gone', count: 1, total_us: 10 })
  ]);
  const other = makeMeasurement([
    // The same kernel from two lines, or with two grids.
    makeMeasuredKernel({
      name: 'gemm',
      count: 3,
      total_us: 210,
      compute_pct: 40,
      memory_pct: 90,
      occupancy_pct: null,
      bound: 'memory'
    }),
    makeMeasuredKernel({
      name: 'gemm',
      count: 1,
      total_us: 70,
      compute_pct: 80,
      memory_pct: 50,
      occupancy_pct: null,
      bound: 'compute'
    }),
    makeBareKernel({ name: 'new', count: 1, total_us: 5 })
  ]);

  it('stand side by side by name: a launch each, means by time', () => {
    const told = measuredChanges(one, other).map(change =>
      measuredChangeColumns(trans).map(({ value, words }) => {
        const found = value(change);
        return typeof found === 'number' ? words?.(found, change) : found;
      })
    );
    const none = (count: number) => Array<null>(count).fill(null);
    expect(told).toEqual([
      [
        'gemm',
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
      ['new', null, null, '5 µs', ...none(7), null, '1'],
      ['gone', null, '10 µs', null, ...none(7), '1', null]
    ]);
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
          difference: makeDifference({ a_step: false })
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
      'Measured kernels'
    );
    expect(screen.getByRole('grid', { name: 'Measured kernels' })).toBeTruthy();
    expect(screen.getByText('3 rows')).toBeTruthy();
    expect(screen.getByText(/^Nsight Compute measured both/)).toBeTruthy();
    expect(screen.queryByText(/whole traces|steps/)).toBeNull();
  });

  it('are no part of a comparison with a trace', async () => {
    await show(makeSummary());
    expect(screen.getByRole('tab', { selected: true }).textContent).toBe(
      'Figures'
    );
    expect(screen.queryByText('Measured kernels')).toBeNull();
    expect(screen.getByText(/^All times are of the whole traces/)).toBeTruthy();
  });

  it('have no idle time and no host in the panel', () => {
    const summary = makeSummary({ measured: other, devices: [makeDevice()] });
    render(<SummaryView summary={summary} trans={trans} />);
    expect(screen.getByText('3 measured, 5 launches, 285 µs')).toBeTruthy();
    expect(
      screen.getByText('74 % memory, 25 % compute, 1.8 % not known')
    ).toBeTruthy();
    expect(screen.queryByText(/Idle|CPU|event/)).toBeNull();
  });
});
