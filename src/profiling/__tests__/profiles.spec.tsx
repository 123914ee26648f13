import {
  act,
  cleanup,
  fireEvent,
  render,
  screen
} from '@testing-library/react';
import * as React from 'react';

import { Resource } from '../../core';
import {
  Bench,
  Refusal,
  page,
  paged,
  settle,
  trans
} from '../../tasks/__tests__/support';
import { formatMicroseconds, formatShare } from '../figures';
import { deviceParts } from '../model';
import type { IProfile } from '../service';
import { ProfilesService } from '../service';
import { ProfileList } from '../view/list';

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

describe('the page of profiles', () => {
  let bench: Bench;
  let list: Resource<IProfile[]>;
  const actions = {
    open: jest.fn(),
    openRun: jest.fn(),
    compare: jest.fn(),
    remove: jest.fn(),
    insert: jest.fn()
  };

  beforeEach(() => {
    jest.clearAllMocks();
    bench = new Bench({ 'GET /profiles': page([]) });
    const service = new ProfilesService(bench.core.api);
    list = new Resource({
      fetch: signal => service.list(signal),
      events: bench.core.events,
      kinds: ['profile'],
      trans
    });
  });

  afterEach(() => {
    cleanup();
    list.dispose();
    bench.dispose();
  });

  async function show(): Promise<void> {
    list.visible = true;
    render(<ProfileList list={list} actions={actions} trans={trans} />);
    await act(() => settle());
  }

  const titles = () =>
    Array.from(document.querySelectorAll('tbody th'), each => each.textContent);

  it('offers a cell, also when there is no profile', async () => {
    await show();
    expect(screen.getByText(/No profiles yet.*%%profile/)).toBeTruthy();
    fireEvent.click(screen.getByRole('button', { name: /Insert a %%profile/ }));
    expect(actions.insert).toHaveBeenCalled();
  });

  it('opens, compares and deletes one, and shows its run', async () => {
    bench.answers['GET /profiles'] = page([profile()]);
    await show();
    expect(screen.getByText(/^4\b.* KiB$/)).toBeTruthy();
    fireEvent.click(screen.getByText('one epoch'));
    expect(actions.open).toHaveBeenCalledWith('p1');
    fireEvent.click(screen.getByRole('button', { name: 'abcdef01' }));
    expect(actions.openRun).toHaveBeenCalledWith('abcdef0123456789');
    fireEvent.click(screen.getByRole('button', { name: 'Compare…' }));
    expect(actions.compare).toHaveBeenCalledWith('p1');
    fireEvent.click(
      screen.getByRole('button', { name: 'Delete the profile “one epoch”' })
    );
    expect(actions.remove).toHaveBeenCalledWith('p1');
    expect(actions.open).toHaveBeenCalledTimes(1);
  });

  it('follows the state of a profile', async () => {
    bench.answers['GET /profiles'] = page([
      profile({ state: 'failed', message: 'Not JSON.' }),
      profile({ id: 'p2', title: 'second', state: 'analyzing' })
    ]);
    await show();
    expect(screen.getByTitle('Not JSON.').textContent).toBe('Failed');
    expect(screen.getByText('Analyzing')).toBeTruthy();
    expect(screen.queryByRole('button', { name: 'Compare…' })).toBeNull();
    bench.answers['GET /profiles'] = page([
      profile({ id: 'p2', title: 'second' })
    ]);
    bench.change('profile', 'p2');
    await act(() => settle());
    expect(screen.queryByText('Analyzing')).toBeNull();
    expect(titles()).toEqual(['second']);
  });

  it('has all pages of the list, the newest first', async () => {
    const all = [1, 2, 3, 4, 5].map(number =>
      profile({
        id: `p${number}`,
        title: `profile ${number}`,
        created_at: number
      })
    );
    bench.answers['GET /profiles'] = paged(() => all, 2);
    await show();
    expect(titles()).toEqual([5, 4, 3, 2, 1].map(each => `profile ${each}`));
    expect(screen.getByText('5 profiles')).toBeTruthy();
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
