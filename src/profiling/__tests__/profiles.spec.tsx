import {
  act,
  cleanup,
  fireEvent,
  render,
  screen
} from '@testing-library/react';
import * as React from 'react';

import type { IDriven } from '../../panel/tokens';
import {
  page,
  paged,
  Bench,
  Refusal,
  settle,
  trans
} from '../../tasks/__tests__/support';
import { formatMicroseconds, formatShare } from '../figures';
import { ProfilesModel, deviceParts } from '../model';
import type { IProfile, IProfileSummary } from '../service';
import { ProfilesSection } from '../view/section';

const summary: IProfileSummary = {
  events: 123456,
  ranks: [0],
  damaged: 'It ends in the middle.',
  incomplete: true,
  cpu: { span_us: 1000, busy_us: 750, idle_us: 250 },
  devices: [],
  operators: Array.from({ length: 12 }, (_, index) => ({
    name: `aten::op${index}`,
    count: index + 1,
    self_us: 100 * (index + 1),
    total_us: 100,
    device_us: 0,
    kernels: 0,
    flops: 0,
    bytes: 0
  })),
  kernels: [],
  streams: [],
  steps: [],
  launches: [],
  idle: [],
  attribution: null,
  roofline: null,
  measured: null,
  price: null,
  advice: [],
  memory: null
};

function profile(part: Partial<IProfile> = {}): IProfile {
  return {
    id: 'p1',
    title: 'one epoch',
    created_at: Date.now() / 1000 - 300,
    state: 'ready',
    run_id: 'abcdef0123456789',
    notebook: 'a.ipynb',
    size_bytes: 4096,
    artifact: 'profiles/one.json.gz',
    trace_path: '/p/p1/trace.json.gz',
    trace_target: '',
    message: '',
    summary: null,
    ...part
  };
}

describe('the profiles section', () => {
  let bench: Bench;
  let model: ProfilesModel;
  const onInsert = jest.fn();
  const onDelete = jest.fn();
  const onOpen = jest.fn();
  const onCompare = jest.fn();
  const drive = (each: IDriven) => {
    each.visible = true;
    return { dispose: () => (each.visible = false) };
  };

  beforeEach(() => {
    jest.clearAllMocks();
    bench = new Bench({ 'GET /profiles': page([]) });
    model = new ProfilesModel(bench.core);
  });

  afterEach(() => {
    cleanup();
    model.dispose();
    bench.dispose();
  });

  async function show(): Promise<void> {
    model.list.visible = true;
    render(
      <ProfilesSection
        {...{ model, trans, drive, onInsert, onOpen, onCompare, onDelete }}
      />
    );
    await act(() => settle());
  }

  it('offers a cell when there is none', async () => {
    await show();
    fireEvent.click(
      screen.getByRole('button', { name: 'Insert a %%profile cell' })
    );
    expect(onInsert).toHaveBeenCalledTimes(1);
  });

  it('reads a summary only when its row is opened', async () => {
    bench.answers['GET /profiles'] = page([profile()]);
    bench.answers['GET /profiles/p1'] = profile({ summary });
    await show();
    expect(bench.count('GET /profiles/p1')).toBe(0);
    fireEvent.click(screen.getByRole('button', { name: /one epoch/ }));
    await act(() => settle());
    expect(
      screen.getByRole('img', { name: 'CPU: Operators 75 %, No operator 25 %' })
    ).toBeTruthy();
    expect(screen.getByText('It ends in the middle.')).toBeTruthy();
    expect(
      screen.getByText(`${(123456).toLocaleString()} events`)
    ).toBeTruthy();
    expect(screen.getByText('abcdef01')).toBeTruthy();
    const names = () =>
      Array.from(
        document.querySelectorAll('.gol-RankedTimes-text'),
        node => node.textContent
      );
    expect(names()).toHaveLength(10);
    expect(names()[0]).toBe('op11');
    fireEvent.click(screen.getByRole('button', { name: 'Show all 12' }));
    expect(names()).toHaveLength(12);
    fireEvent.click(
      screen.getByRole('button', { name: 'Delete the profile “one epoch”' })
    );
    expect(onDelete).toHaveBeenCalledWith('p1');
    fireEvent.click(screen.getByRole('button', { name: 'Open' }));
    expect(onOpen).toHaveBeenCalledWith('p1');
    fireEvent.click(screen.getByRole('button', { name: 'Compare with…' }));
    expect(onCompare).toHaveBeenCalledWith('p1');
  });

  it('says what failed, and becomes ready by itself', async () => {
    bench.answers['GET /profiles'] = page([
      profile({ state: 'failed', message: 'Not JSON.' }),
      profile({ id: 'p2', title: 'second', state: 'analyzing' })
    ]);
    await show();
    fireEvent.click(screen.getByRole('button', { name: /one epoch.*Failed/ }));
    expect(screen.getByText('Not JSON.')).toBeTruthy();
    expect(
      screen.getByRole('button', { name: /second.*Analyzing/ })
    ).toBeTruthy();
    bench.answers['GET /profiles'] = page([
      profile({ id: 'p2', title: 'second' })
    ]);
    bench.change('profile', 'p2');
    await act(() => settle());
    expect(screen.queryByText('Analyzing')).toBeNull();
  });

  it('shows page after page, and nothing twice when some are added', async () => {
    const all = [1, 2, 3, 4, 5].map(number =>
      profile({ id: `p${number}`, title: `profile ${number}` })
    );
    bench.answers['GET /profiles'] = paged(() => all, 2);
    const titles = () =>
      Array.from(
        document.querySelectorAll('.gol-List > li'),
        node => node.textContent?.match(/profile \d/)?.[0]
      );
    await show();
    expect(titles()).toEqual(['profile 1', 'profile 2']);
    all.unshift(profile({ id: 'p0', title: 'profile 0' }));
    const button = screen.getByRole('button', { name: 'Show more' });
    button.focus();
    fireEvent.click(button);
    await act(() => settle());
    expect(titles()).toEqual([0, 1, 2, 3].map(each => `profile ${each}`));
    expect(document.activeElement).toBe(button);
    // A change elsewhere fetches what is shown, no less.
    bench.change('profile', 'p2');
    await act(() => settle());
    expect(titles()).toHaveLength(4);
    fireEvent.click(button);
    await act(() => settle());
    expect(titles()).toEqual([0, 1, 2, 3, 4, 5].map(each => `profile ${each}`));
    expect(screen.queryByRole('button', { name: 'Show more' })).toBeNull();
    expect((await model.service.list()).map(({ id }) => id)).toHaveLength(6);
  });

  it('says when the server is away', async () => {
    bench.answers['GET /profiles'] = new Refusal(
      503,
      'unavailable',
      'Starting.'
    );
    await show();
    expect(screen.getByText('Profiles cannot be read.')).toBeTruthy();
    expect(screen.getByRole('button', { name: 'Retry now' })).toBeTruthy();
  });
});

describe('parts of time', () => {
  it('add up to the span whatever overlaps', () => {
    const parts = deviceParts(
      {
        busy_us: 60,
        idle_us: 40,
        compute_us: 50,
        exposed_comm_us: 8,
        memory_us: 30
      },
      trans
    );
    expect(parts.map(({ id, us }) => [id, us])).toEqual([
      ['compute', 50],
      ['comm', 8],
      ['memory', 2],
      ['idle', 40]
    ]);
  });

  it('read as people read them', () => {
    expect(formatMicroseconds(840)).toBe('840 µs');
    expect(formatMicroseconds(12345)).toBe('12.3 ms');
    expect(formatMicroseconds(4.56e6)).toBe('4.56 s');
    expect(formatMicroseconds(125e6)).toBe('2 min 5 s');
    expect(formatShare(1, 3)).toBe('33 %');
    expect(formatShare(1, 5000)).toBe('<0.1 %');
    expect(formatShare(0, 0)).toBe('0 %');
  });
});
