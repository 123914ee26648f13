import {
  act,
  cleanup,
  fireEvent,
  render,
  screen,
  within
} from '@testing-library/react';
import * as React from 'react';

import type {
  IMeasuredKernel,
  IMeasurement,
  IProfileSummary
} from '../../../service';
import {
  FakePlaces,
  makeDevice,
  makeLine,
  makeSummary,
  trans
} from '../../__tests__/support';
import { Overview } from '../../overview/overview';
import { measuredColumns } from '../columns';
import { MeasuredView } from '../view';

import {
  makeBareKernel,
  makeMeasuredKernel,
  makeMeasurement,
  makeRule
} from './support';

class NoObserver {
  observe = (): void => undefined;
  unobserve = (): void => undefined;
  disconnect = (): void => undefined;
}

describe('measured kernels', () => {
  let places: FakePlaces;
  const ask = jest.fn();

  beforeAll(() => {
    globalThis.ResizeObserver ??= NoObserver as typeof ResizeObserver;
    // Nothing scrolls in jsdom.
    Element.prototype.scrollIntoView ??= () => undefined;
  });

  beforeEach(() => {
    places = new FakePlaces();
    ask.mockReset();
  });

  afterEach(cleanup);

  function showKernels(...kernels: IMeasuredKernel[]): void {
    show(makeMeasurement(kernels), makeSummary());
  }

  function show(measured: IMeasurement, summary: IProfileSummary): void {
    render(
      <MeasuredView
        summary={summary}
        measured={measured}
        places={places}
        notebook="a.ipynb"
        ask={ask}
        seen
        trans={trans}
      />
    );
  }

  const selected = () =>
    screen.getByRole('heading', { level: 3 }).textContent ?? '';
  const part = (name: string) => screen.getByRole('region', { name });

  it('shows the longest first, with its line', () => {
    const { place } = makeLine(4, 1, 'y = model(x)');
    showKernels(
      makeMeasuredKernel({ name: 'short', longest: 1, total_us: 10 }),
      makeMeasuredKernel({ name: 'long', longest: 2, place })
    );
    expect(selected()).toBe('long');
    const kernel = part('long');
    expect(within(kernel).getByText('y = model(x)')).toBeTruthy();
    fireEvent.click(
      within(kernel).getByRole('button', { name: 'a.ipynb, line 4' })
    );
    expect(places.opened).toEqual(['c1:4']);
    expect(kernel.textContent).toContain(
      '63.7 µs, 86 % of all GPU kernels, in 2 launches; longest launch 31.9 µs; grid [64, 64, 1], block [16, 16, 1]'
    );
  });

  it('shows the kernel whose row is clicked, and another where that is filtered away', () => {
    showKernels(
      makeMeasuredKernel({ name: 'long', longest: 2 }),
      makeMeasuredKernel({ name: 'short', longest: 1, total_us: 10 })
    );
    fireEvent.click(screen.getByRole('gridcell', { name: 'short' }));
    expect(selected()).toBe('short');
    fireEvent.change(screen.getByRole('searchbox', { name: 'Filter' }), {
      target: { value: 'long' }
    });
    expect(selected()).toBe('long');
    expect(screen.getByRole('status').textContent).toBe('1 of 2 GPU kernels');
    fireEvent.change(screen.getByRole('searchbox', { name: 'Filter' }), {
      target: { value: '' }
    });
    expect(selected()).toBe('short');
  });

  it('tells its bars in words', () => {
    showKernels(makeMeasuredKernel());
    const speeds = within(part('Speed of light')).getAllByRole('listitem');
    expect(speeds.map(({ textContent }) => textContent)).toEqual([
      'Compute78 %',
      'Memory46 %',
      'L1 and shared memory50 % hit rate 81 %',
      'L2 cache21 % hit rate 56 %',
      'Device memory22 %'
    ]);
    const waits = within(part('Warp stalls')).getAllByRole('listitem');
    expect(waits).toHaveLength(2);
    expect(waits[0].textContent).toMatch(
      /^Another warp was chosen28 % 3.36 cyclesThe warp was ready, but/
    );
  });

  it('has a column of each figure, a device where there are several, and no line where none is known', () => {
    const kernels = [makeMeasuredKernel(), makeBareKernel()];
    const columns = (...more: IMeasuredKernel[]) =>
      measuredColumns({
        measured: makeMeasurement([...kernels, ...more]),
        ranks: [0],
        places,
        notebook: '',
        trans
      });
    const text = (kernel: IMeasuredKernel) =>
      columns().map(({ value, words }) => {
        const found = value(kernel);
        return typeof found === 'number'
          ? (words?.(found, kernel) ?? found)
          : found;
      });
    expect(text(kernels[0]).slice(1)).toEqual([
      '63.7 µs',
      '50 %',
      'compute',
      '78 %',
      '46 %',
      '84 of 100 %',
      '72 %',
      'Uncoalesced loads',
      '2',
      '12.19',
      '22',
      '[64, 64, 1]',
      '[16, 16, 1]'
    ]);
    expect(text(kernels[1]).slice(3, 9)).toEqual(Array(6).fill(null));
    const ids = (...more: IMeasuredKernel[]) =>
      columns(...more).map(({ id }) => id);
    expect(ids()).not.toContain('line');
    expect(ids()).not.toContain('device');
    const { place } = makeLine(1, 1);
    const other = ids(makeMeasuredKernel({ device: '1', place }));
    expect(other[1]).toBe('line');
    expect(other.pop()).toBe('device');
  });

  it('says of each part that the report lacks it', () => {
    showKernels(makeBareKernel());
    expect(part('Speed of light').textContent).toMatch(/has no section/);
    expect(part('Occupancy').textContent).toMatch(/has no section/);
    expect(part('Warp stalls').textContent).toMatch(/has no section/);
    expect(part('Suggested changes').textContent).toMatch(/no rule results/);
    expect(screen.getByText('no estimate')).toBeTruthy();
  });

  it('shows rules as text, with links to NVIDIA’s documentation alone', () => {
    const text =
      'See https://docs.nvidia.com/nsight/index.html#a. <img src=x onerror=alert(1)> ' +
      'http://docs.nvidia.com/plain https://docs.nvidia.com.example.org/ ' +
      'https://docs.nvidia.com@example.org/ (https://docs.nvidia.com/b) javascript:alert(1)';
    showKernels(makeMeasuredKernel({ rules: [makeRule({ text })] }));
    const rules = part('Suggested changes');
    expect(within(rules).getByRole('article').textContent).toContain(text);
    expect(rules.querySelector('img')).toBeNull();
    const links = within(rules).getAllByRole('link');
    expect(links.map(link => link.getAttribute('href'))).toEqual([
      'https://docs.nvidia.com/nsight/index.html#a',
      'https://docs.nvidia.com/b'
    ]);
    expect(links[0].getAttribute('rel')).toBe('noopener noreferrer');
  });

  it('folds notes, and rules with almost no gain', () => {
    const remark = makeRule({
      kind: 'info',
      title: 'By the way',
      speedup_pct: null,
      of: ''
    });
    const small = makeRule({ title: 'Hardly', speedup_pct: 0.02 });
    showKernels(makeMeasuredKernel({ rules: [remark, small, makeRule()] }));
    const rules = part('Suggested changes');
    expect(within(rules).getAllByRole('article')).toHaveLength(1);
    fireEvent.click(within(rules).getByRole('button', { name: '1 note' }));
    expect(
      within(rules).getByRole('article', { name: 'By the way' })
    ).toBeTruthy();
    fireEvent.click(
      within(rules).getByRole('button', {
        name: /^1 change that saves less than 1 %/
      })
    );
    expect(
      within(rules).getByRole('article', { name: 'Hardly' }).textContent
    ).toContain('up to <0.1 % of the kernel’s time (0.0127 µs)');
  });

  it('counts the kernels that are not listed too', () => {
    show(
      { ...makeMeasurement([makeMeasuredKernel()]), more_kernels: 1200 },
      makeSummary()
    );
    expect(
      screen.getByText('GPU kernels measured').nextSibling?.textContent
    ).toBe('1,201 2 launches');
    expect(screen.getByRole('status').textContent).toBe(
      '1 GPU kernel; 1 with most time are shown, 1200 more are not'
    );
  });

  it('names the device that they ran on', () => {
    const devices = [
      makeDevice({ model: 'NVIDIA H100' }),
      makeDevice({ device: '1', model: 'NVIDIA L4' })
    ];
    const kernel = makeMeasuredKernel({ name: 'own', device: '1' });
    show(makeMeasurement([kernel]), makeSummary({ devices }));
    expect(screen.getByText('GPU').nextSibling?.textContent).toBe(
      'NVIDIA H100, NVIDIA L4'
    );
    expect(part('own').textContent).toContain('; Device 1, NVIDIA L4');
    cleanup();
    show(makeMeasurement([kernel]), makeSummary());
    expect(screen.queryByText('GPU')).toBeNull();
  });

  it('says where nothing was measured', () => {
    showKernels();
    expect(screen.getByText(/The report has no GPU kernels/)).toBeTruthy();
  });

  it('leads its overview, which claims no time between kernels', async () => {
    const kernel = makeMeasuredKernel();
    const summary = makeSummary({
      devices: [makeDevice({ span_us: kernel.total_us })],
      measured: makeMeasurement([kernel]),
      advice: [
        {
          code: 'ncu_rule',
          severity: 'high',
          title: 'A rule',
          evidence: 'seen',
          saving_us: 31.87,
          suggestion: '',
          code_hint: '',
          places: [],
          moments: [{ start_us: 0, end_us: 1 }],
          rank: null
        }
      ]
    });
    await act(async () => {
      render(
        <Overview
          summary={summary}
          places={places}
          notebook=""
          onMoments={null}
          onRank={() => undefined}
          trans={trans}
        />
      );
    });
    expect(screen.getByText('GPU kernels measured')).toBeTruthy();
    expect(
      screen.getByRole('img', {
        name: 'GPU kernel time by limit: Device 0: compute 100 %'
      })
    ).toBeTruthy();
    expect(screen.getByText('up to 31.9 µs (50 %)')).toBeTruthy();
    expect(
      screen.queryByRole('button', { name: /Show in the timeline/ })
    ).toBeNull();
    expect(screen.queryByText(/busy|idle|Steps|CPU/i)).toBeNull();
  });
});
