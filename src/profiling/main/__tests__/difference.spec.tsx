import {
  act,
  cleanup,
  fireEvent,
  render,
  screen,
  within
} from '@testing-library/react';
import * as React from 'react';

import { Bench, Refusal } from '../../../tasks/__tests__/support';
import { ProfileDifference } from '../difference/difference';
import { ProfilesService } from '../../service';
import { DifferenceWidget } from '../widget';

import {
  makeChange,
  makeDifference,
  makeFigure,
  makeProfile,
  trans
} from './support';

describe('the difference of two profiles', () => {
  let bench: Bench;
  let widget: DifferenceWidget;
  const onOpen = jest.fn();
  const onOpenRun = jest.fn();
  const onSwapped = jest.fn();

  beforeEach(() => {
    jest.clearAllMocks();
    bench = new Bench({
      'GET /profiles/p1': makeProfile(null),
      'GET /profiles/p2': makeProfile(null, { id: 'p2', title: 'faster' }),
      'GET /profiles/difference': makeDifference({
        operators: [
          makeChange({}),
          makeChange({ name: 'slower', after_us: 150 }),
          makeChange({ name: 'fresh', before_us: 0, state: 'added' })
        ],
        advice_gone: ['sync_item'],
        warnings: ['They ran on devices of two models.']
      })
    });
    widget = new DifferenceWidget({
      service: new ProfilesService(bench.core.api),
      before: 'p1',
      after: 'p2',
      onOpen,
      onOpenRun,
      onSwapped,
      trans
    });
  });

  afterEach(() => {
    cleanup();
    widget.dispose();
    bench.dispose();
  });

  async function show(): Promise<void> {
    render(
      <ProfileDifference
        resource={widget.model}
        onOpen={onOpen}
        onOpenRun={onOpenRun}
        onSwap={onSwapped}
        trans={trans}
      />
    );
    await act(() => widget.model.refresh());
  }

  it('tells the figures with their change, and what they are of', async () => {
    await show();
    expect(
      screen.getByText('All times are per step: 8 steps before, 10 after.')
    ).toBeTruthy();
    const row = screen.getByRole('row', { name: /^Busy/ });
    expect(
      within(row)
        .getAllByRole('cell')
        .map(cell => cell.textContent)
    ).toEqual(['2 ms', '1.5 ms', '−500 µs', '−25 %']);
    expect(screen.getByText('Problems solved: sync_item')).toBeTruthy();
    expect(screen.getByText('They ran on devices of two models.')).toBeTruthy();
    fireEvent.click(screen.getByRole('button', { name: 'faster' }));
    expect(onOpen).toHaveBeenCalledWith('p2');
  });

  it('sorts the figures by a head, those of one unit together', async () => {
    bench.answers['GET /profiles/difference'] = makeDifference({
      figures: [
        makeFigure({ code: 'busy', before: 2000, after: 1500, unit: 'us' }),
        makeFigure({ code: 'mfu', before: 0, after: 0.4, unit: 'share' }),
        makeFigure({ code: 'idle', before: 500, after: 900, unit: 'us' })
      ]
    });
    await show();
    const table = screen.getByRole('table', { name: 'Figures' });
    const head = (name: string) =>
      within(table).getByRole('columnheader', { name: new RegExp(`^${name}`) });
    const press = (name: string) =>
      fireEvent.click(within(head(name)).getByRole('button'));
    const afters = () =>
      within(table)
        .getAllByRole('row')
        .slice(1)
        .map(row => within(row).getAllByRole('cell')[1].textContent);
    const asTold = afters();
    const [busy, mfu, idle] = asTold;
    expect(head('Change').getAttribute('aria-sort')).toBeNull();
    press('Change');
    expect(head('Change').getAttribute('aria-sort')).toBe('descending');
    expect(afters()).toEqual([idle, busy, mfu]);
    press('Change');
    expect(head('Change').getAttribute('aria-sort')).toBe('ascending');
    expect(afters()).toEqual([busy, idle, mfu]);
    // Nothing is relative to a figure that was zero: it is last both ways.
    press('Relative');
    expect(head('Change').getAttribute('aria-sort')).toBeNull();
    expect(afters()).toEqual([idle, busy, mfu]);
    press('Relative');
    expect(afters()).toEqual([busy, idle, mfu]);
  });

  it('tells of what FLOPs are known, and what an operator’s time is', async () => {
    bench.answers['GET /profiles/difference'] = makeDifference({
      figures: [
        {
          code: 'flops',
          before: 5e12,
          after: 4e11,
          unit: 'flops',
          covered_before: 1,
          covered_after: 0.09
        }
      ],
      operators: [makeChange({})]
    });
    await show();
    const row = screen.getByRole('row', { name: /^FLOPs/ });
    const [before, after] = within(row)
      .getAllByRole('cell')
      .map(cell => cell.textContent);
    expect(before).not.toContain('of the compute time');
    expect(after).toContain('(9 % of the compute time)');
    fireEvent.click(screen.getByRole('tab', { name: 'Operators' }));
    expect(
      screen.getByText(/own CPU time plus the device time of its GPU kernels/)
    ).toBeTruthy();
  });

  it('says where neither trace has something', async () => {
    await show();
    fireEvent.click(screen.getByRole('tab', { name: 'Lines' }));
    expect(
      screen.getByText('Neither trace records source lines.')
    ).toBeTruthy();
  });

  it('says when they cannot be compared', async () => {
    bench.answers['GET /profiles/difference'] = new Refusal(
      404,
      'not_found',
      'There is no such operation.'
    );
    await show();
    expect(screen.getByText('These profiles cannot be compared.')).toBeTruthy();
  });
});
