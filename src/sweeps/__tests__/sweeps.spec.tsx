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
  settle,
  trans
} from '../../tasks/__tests__/support';
import type { ISweep, ITrial } from '../service';
import { SweepsService } from '../service';
import { SweepDetail, objectiveLines } from '../view/detail';
import { SweepList } from '../view/list';

class NoObserver {
  observe = (): void => undefined;
  unobserve = (): void => undefined;
  disconnect = (): void => undefined;
}

function sweep(part: Partial<ISweep> = {}): ISweep {
  return {
    id: '3fa91c20',
    name: 'lesson',
    state: 'running',
    method: 'tpe',
    metric: 'accuracy',
    direction: 'maximize',
    objective: 'last',
    planned: 30,
    parallel: 1,
    on: ['python3', 'genops-gpu-a'],
    trials: [],
    setup: [],
    counts: { finished: 3, failed: 1, running: 2 },
    best: 2,
    best_value: 0.91,
    summary: [],
    message: '',
    hint: '',
    experiment: 'lesson',
    notebook: 'lesson.ipynb',
    seed: 0,
    prune: '',
    attended: true,
    created_at: Date.now() / 1000 - 60,
    ended_at: null,
    version: 1,
    ...part
  };
}

function trial(part: Partial<ITrial>): ITrial {
  return {
    number: 0,
    state: 'finished',
    params: { lr: 0.1 },
    attempt: 1,
    kernel_name: 'python3',
    kernel_id: '',
    run_id: `run${part.number ?? 0}`,
    value: null,
    message: '',
    started_at: 100,
    ended_at: 101,
    ...part
  };
}

const actions = {
  open: jest.fn(),
  openRuns: jest.fn(),
  openRun: jest.fn(),
  stop: jest.fn(),
  resume: jest.fn(),
  remove: jest.fn(),
  insert: jest.fn()
};

let bench: Bench;
beforeAll(() => {
  window.ResizeObserver ??= NoObserver as unknown as typeof ResizeObserver;
});
beforeEach(() => {
  bench = new Bench({ 'GET /sweeps': page([]) });
});
afterEach(() => {
  cleanup();
  bench.dispose();
  jest.clearAllMocks();
});

describe('the page of sweeps', () => {
  async function show(...sweeps: ISweep[]): Promise<void> {
    bench.answers['GET /sweeps'] = page(sweeps);
    const service = new SweepsService(bench.core.api);
    const list = new Resource({
      fetch: signal => service.list(signal),
      events: bench.core.events,
      kinds: ['sweep'],
      trans
    });
    render(<SweepList list={list} actions={actions} trans={trans} />);
    await act(async () => {
      list.visible = true;
      await settle();
    });
  }

  it('says how to begin, with a button that does it', async () => {
    await show();
    expect(screen.getByText(/No sweeps yet.*%%sweep/)).toBeTruthy();
    fireEvent.click(screen.getByRole('button', { name: /Insert a %%sweep/ }));
    expect(actions.insert).toHaveBeenCalled();
  });

  it('offers to delete one that has ended', async () => {
    const ended = sweep({ id: 'e', name: 'old', state: 'done', ended_at: 9 });
    await show(sweep(), ended);
    fireEvent.click(
      screen.getByRole('button', { name: /^Delete the sweep “old”/ })
    );
    expect(actions.remove).toHaveBeenCalledWith(ended);
  });

  it('tells how far one is, stops it, and opens it', async () => {
    await show(sweep());
    const bar = screen.getByRole<HTMLProgressElement>('progressbar', {
      name: 'Trials of lesson that have ended'
    });
    expect([bar.value, bar.max]).toEqual([4, 30]);
    expect(screen.getByText('4 of 30')).toBeTruthy();
    expect(screen.getByText('accuracy 0.91 in trial 2')).toBeTruthy();
    fireEvent.click(screen.getByRole('button', { name: 'Show runs' }));
    expect(actions.openRuns).toHaveBeenCalledWith('3fa91c20');
    expect(screen.queryByRole('button', { name: 'Resume' })).toBeNull();
    fireEvent.click(screen.getByRole('button', { name: 'Stop' }));
    expect(actions.stop).toHaveBeenCalledWith('3fa91c20');
    expect(actions.open).not.toHaveBeenCalled();
    fireEvent.click(screen.getByText('lesson'));
    expect(actions.open).toHaveBeenCalledWith('3fa91c20');
  });

  it.each([{ state: 'stopped' as const }, { attended: false }])(
    'goes on with one that %j',
    async part => {
      await show(sweep(part));
      fireEvent.click(screen.getByRole('button', { name: 'Resume' }));
      expect(actions.resume).toHaveBeenCalledWith('3fa91c20');
    }
  );

  it('follows the sweeps, and keeps them, dimmed, while the server is away', async () => {
    await show(sweep());
    bench.answers['GET /sweeps'] = page([sweep({ state: 'done' })]);
    bench.change('sweep', '3fa91c20');
    await act(() => settle());
    expect(screen.getByText('Done')).toBeTruthy();
    bench.answers['GET /sweeps'] = new Refusal(503, 'unavailable', 'Starting.');
    bench.change('sweep', '3fa91c20');
    await act(() => settle());
    expect(screen.getByText('Sweeps cannot be read.')).toBeTruthy();
    expect(screen.getByText('Done').closest('.gol-mod-stale')).toBeTruthy();
  });
});

describe('the page of one sweep', () => {
  async function show(value: ISweep): Promise<void> {
    const resource = new Resource({
      fetch: () => Promise.resolve(value),
      trans
    });
    render(<SweepDetail sweep={resource} actions={actions} trans={trans} />);
    await act(async () => {
      resource.visible = true;
      await settle();
    });
  }

  const trials = [
    trial({ number: 0, value: 0.5, params: { lr: 0.1, act: 'relu' } }),
    trial({ number: 1, state: 'failed', message: 'ValueError: too wide' }),
    trial({ number: 2, value: 0.91, params: { lr: 0.01, act: 'gelu' } }),
    trial({ number: 3, state: 'waiting', run_id: '', started_at: null })
  ];

  it('lists its trials with their values, and opens a run', async () => {
    await show(sweep({ trials }));
    const heads = screen
      .getAllByRole('columnheader')
      .map(each => each.textContent);
    expect(heads).toEqual(
      [
        'Trial ▴',
        'State',
        'lr',
        'act',
        'accuracy',
        'Duration',
        'Kernel'
      ].concat('Message', 'Actions')
    );
    expect(screen.getByText('2 (best)')).toBeTruthy();
    expect(screen.getByText('ValueError: too wide')).toBeTruthy();
    fireEvent.click(screen.getByText('0.91'));
    expect(actions.openRun).toHaveBeenLastCalledWith('run2');
    fireEvent.click(screen.getByText('Waiting'));
    expect(actions.openRun).toHaveBeenCalledTimes(1);
    expect(
      screen.getByRole('img', { name: /^accuracy by trial: accuracy 0.91/ })
    ).toBeTruthy();
  });

  it('says why a sweep failed, and what to do', async () => {
    await show(
      sweep({
        state: 'failed',
        message: 'Three trials in a row failed.',
        hint: 'Mend the cell, then resume the sweep.'
      })
    );
    expect(screen.getByText('Three trials in a row failed.')).toBeTruthy();
    expect(screen.getByText(/^Mend the cell/)).toBeTruthy();
    expect(screen.getByRole('button', { name: 'Resume' })).toBeTruthy();
    expect(screen.getByText('No trial has started yet.')).toBeTruthy();
  });

  it('shows the mean of repeats with its interval', async () => {
    const summary = [
      { metric: 'loss', n: 5, mean: 0.5, low: 0.4, high: 0.6 },
      { metric: 'steps', n: 1, mean: 3, low: null, high: null }
    ];
    await show(sweep({ method: 'repeat', summary }));
    expect(screen.getByText('0.4 to 0.6')).toBeTruthy();
    expect(screen.getByText('no interval')).toBeTruthy();
  });

  it.each([
    ['maximize' as const, [0.5, 0.91]],
    ['minimize' as const, [0.5, 0.5]]
  ])('draws the best so far of those to %s', (direction, best) => {
    const [own, until] = objectiveLines(sweep({ trials, direction }), trans);
    expect(own).toMatchObject({ x: [0, 2], y: [0.5, 0.91] });
    expect(until.y).toEqual(best);
  });
});
