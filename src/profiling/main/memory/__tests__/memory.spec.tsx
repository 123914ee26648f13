import {
  act,
  cleanup,
  fireEvent,
  render,
  screen,
  within
} from '@testing-library/react';
import * as React from 'react';

import { Bench, Refusal, settle } from '../../../../tasks/__tests__/support';
import { FakePlaces, trans } from '../../__tests__/support';
import { MemoryView } from '../memory';

import { makeMoment, makeSite, makeTimeline } from './support';

class NoObserver {
  observe = (): void => undefined;
  unobserve = (): void => undefined;
  disconnect = (): void => undefined;
}

const place = {
  file: '[4]',
  line: 10,
  function: '',
  cell: 'the-cell',
  text: 'losses.append(loss)',
  whole_function: false
};
const memory: MemoryView.IProps['memory'] = {
  devices: [
    {
      device: 0,
      rank: null,
      reserved: 60,
      allocated: 20,
      active: 20,
      segments: 1,
      blocks: 2,
      fragmentation: 0.5,
      largest_free: 5,
      events: 4,
      peak: 40,
      peak_event: 2,
      live_at_peak: 2,
      before: 0,
      before_sites: [],
      sites: [makeSite({ name: 'of the summary' })],
      categories: [],
      timeline: [
        { at: 0, bytes: 10 },
        { at: 3, bytes: 20 }
      ],
      retries: 0
    }
  ],
  out_of_memory: [],
  damaged: ''
};
const lines = [
  { line: 7, site: makeSite({ bytes: 30, blocks: 12, place }) },
  {
    line: 2,
    site: makeSite({
      name: 'aten::mm',
      bytes: 10,
      category: 'backward' as const
    })
  }
];

describe('the view of memory', () => {
  let bench: Bench;
  let places: FakePlaces;

  beforeAll(() => {
    globalThis.ResizeObserver ??= NoObserver as typeof ResizeObserver;
  });

  beforeEach(() => {
    places = new FakePlaces();
    bench = new Bench({
      'GET /profiles/p1/memory': { devices: [makeTimeline()] },
      'GET /profiles/p1/memory/0/moment': makeMoment(2, lines, {
        us: 83_000,
        reserved: 60,
        change: { bytes: -10, name: 'aten::mm' }
      })
    });
  });

  afterEach(() => {
    cleanup();
    bench.dispose();
  });

  async function show(seen = true): Promise<void> {
    render(
      <MemoryView
        {...{ memory, seen, places, notebook: 'a.ipynb', trans }}
        profileId="p1"
        api={bench.core.api}
      />
    );
    await act(() => settle());
  }

  it('shows memory by owner at the peak, and opens the line', async () => {
    await show();
    expect(
      screen.getByRole('heading', { name: 'Event 2, 83 ms: 40 B' })
    ).toBeTruthy();
    expect(
      screen.getByText(/frees 10 B, aten::mm; 60 B reserved; 2 blocks/)
    ).toBeTruthy();
    const rows = screen.getAllByRole('row').slice(1);
    expect(rows.map(row => row.textContent)).toEqual([
      '[4] line 1030 B75 %12',
      'aten::mm10 B25 %1Backward pass'
    ]);
    const slider = screen.getByRole('slider', { name: 'Moment, Device 0' });
    expect(slider.getAttribute('aria-valuetext')).toBe(
      'Event 2, 83 ms: 40 B in use'
    );
    fireEvent.click(within(rows[0]).getByRole('button'));
    expect(screen.getByText('losses.append(loss)')).toBeTruthy();
    fireEvent.click(screen.getByRole('button', { name: 'Show the line' }));
    expect(places.opened).toEqual(['the-cell:10']);
  });

  it('asks for nothing while it is not seen', async () => {
    await show(false);
    expect(bench.calls).toEqual([]);
  });

  it('goes on with what the summary tells where more cannot be had', async () => {
    bench.answers['GET /profiles/p1/memory'] = new Refusal(
      404,
      'not_found',
      'The trace is gone.'
    );
    await show();
    expect(screen.getByText('The trace is gone.')).toBeTruthy();
    expect(screen.getByText('of the summary')).toBeTruthy();
    expect(
      screen.getByRole('img', { name: /^Memory in use during the recording/ })
    ).toBeTruthy();
  });
});
