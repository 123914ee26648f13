import {
  act,
  cleanup,
  fireEvent,
  render,
  screen
} from '@testing-library/react';
import * as React from 'react';

import { Bench, Refusal, settle } from '../../../../tasks/__tests__/support';
import type { IMeasuredKernel, IProfileSummary } from '../../../service';
import { ProfilesService } from '../../../service';
import { makeSummary, trans } from '../../__tests__/support';
import { ProfileViewModel } from '../../model';
import { AllMetrics, familyOf, metricColumns } from '../metrics';

import { makeMeasuredKernel, makeMeasurement } from './support';

class NoObserver {
  observe = (): void => undefined;
  unobserve = (): void => undefined;
  disconnect = (): void => undefined;
}

const METRICS = [
  {
    name: 'gpu__time_duration.sum',
    value: 628032,
    unit: 'nsecond',
    instances: 0
  },
  {
    name: 'device__attribute_display_name',
    value: 'NVIDIA RTX A4500',
    unit: '',
    instances: 0
  },
  {
    name: 'l1tex__t_sector_hit_rate.pct',
    value: 81.43,
    unit: '%',
    instances: 12
  }
];

describe('all metrics of a launch', () => {
  let bench: Bench;
  let model: ProfileViewModel;

  beforeAll(() => {
    globalThis.ResizeObserver ??= NoObserver as typeof ResizeObserver;
  });

  beforeEach(() => {
    bench = new Bench({
      'GET /profiles/p1/kernels/0': {
        number: 0,
        name: 'a',
        metrics: METRICS
      },
      'GET /profiles/p1/kernels/7': {
        number: 7,
        name: 'b',
        metrics: METRICS.slice(1)
      }
    });
    model = new ProfileViewModel({
      id: 'p1',
      service: new ProfilesService(bench.core.api),
      events: bench.core.events,
      trans
    });
  });

  afterEach(() => {
    cleanup();
    model.dispose();
    bench.dispose();
  });

  async function profile(part: Partial<IProfileSummary> = {}): Promise<void> {
    const summary = makeSummary({ measured: makeMeasurement([]), ...part });
    bench.answers['GET /profiles/p1'] = { id: 'p1', summary };
    model.visible = true;
    await settle();
  }

  const drawn = (kernel: IMeasuredKernel) => (
    <AllMetrics
      kernel={kernel}
      ask={(asked, signal) => model.kernelMetrics(asked, signal)}
      seen
      trans={trans}
    />
  );

  const toggle = async () => {
    fireEvent.click(screen.getByRole('button', { name: /^All metrics/ }));
    await act(() => settle());
  };

  it('asks for them when they are opened, and then for those of each kernel that is selected', async () => {
    await profile();
    const { rerender } = render(drawn(makeMeasuredKernel()));
    expect(bench.count('GET /profiles/p1/kernels/0')).toBe(0);
    await toggle();
    expect(
      screen.getByRole('grid', { name: 'Metrics of launch 0' })
    ).toBeTruthy();
    expect(screen.getByRole('status').textContent).toBe('3 rows');
    fireEvent.change(screen.getByRole('searchbox', { name: 'Filter' }), {
      target: { value: 'hit_rate' }
    });
    expect(screen.getByRole('status').textContent).toBe('1 of 3 rows');
    rerender(drawn(makeMeasuredKernel({ longest: 7, count: 1 })));
    await act(() => settle());
    expect(
      screen.getByRole('grid', { name: 'Metrics of launch 7' })
    ).toBeTruthy();
    expect(bench.asked('GET /profiles/p1/kernels/7')).toEqual([{}]);
    // What was looked for is looked for there, too.
    expect(screen.getByRole('status').textContent).toBe('1 of 2 rows');
  });

  it('names the rank where there are several', async () => {
    await profile({ ranks: [0, 3] });
    render(drawn(makeMeasuredKernel({ rank: 3 })));
    await toggle();
    expect(bench.asked('GET /profiles/p1/kernels/0')).toEqual([{ rank: '3' }]);
  });

  it('says why there are none', async () => {
    bench.answers['GET /profiles/p1/kernels/0'] = new Refusal(
      404,
      'not_found',
      'There is no file.'
    );
    await profile();
    render(drawn(makeMeasuredKernel()));
    await toggle();
    expect(
      screen.getByText('The metrics of this launch cannot be read.')
    ).toBeTruthy();
    expect(screen.getByText('There is no file.')).toBeTruthy();
  });

  it('scales values, and groups them by what they were counted in', () => {
    const words = METRICS.map(metric =>
      metricColumns(trans).map(({ value, words }) => {
        const found = value(metric);
        return typeof found === 'number' ? words?.(found, metric) : found;
      })
    );
    expect(words).toEqual([
      ['gpu__time_duration.sum', '628 µs', 'nsecond', null],
      ['device__attribute_display_name', 'NVIDIA RTX A4500', null, null],
      ['l1tex__t_sector_hit_rate.pct', '81.43 %', '%', '12']
    ]);
    expect(METRICS.map(familyOf)).toEqual(['gpu', 'device', 'l1tex']);
    expect(familyOf({ name: 'FE_B.TriageAC.gr__ctas.sum' })).toBe('gr');
    expect(familyOf({ name: 'inst_executed' })).toBe('');
  });
});
