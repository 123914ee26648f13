import {
  act,
  cleanup,
  fireEvent,
  render,
  screen
} from '@testing-library/react';
import * as React from 'react';

import { PagedResource } from '../../core';
import { page, settle, trans } from '../../tasks/__tests__/support';
import type { ISweep } from '../service';
import { SweepsSection } from '../view/section';

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

describe('the section of sweeps', () => {
  const actions = {
    openRuns: jest.fn(),
    stop: jest.fn(),
    resume: jest.fn(),
    remove: jest.fn()
  };
  let list: PagedResource<ISweep>;

  async function show(...sweeps: ISweep[]): Promise<void> {
    list = new PagedResource({
      fetch: () => Promise.resolve(page(sweeps)),
      key: ({ id }) => id,
      trans
    });
    render(<SweepsSection list={list} actions={actions} trans={trans} />);
    await act(async () => {
      list.visible = true;
      await settle();
    });
  }

  afterEach(() => {
    cleanup();
    list.dispose();
    jest.clearAllMocks();
  });

  it('says how to begin', async () => {
    await show();
    expect(screen.getByText(/No sweeps yet.*%%sweep/)).toBeTruthy();
  });

  it('offers to delete one that has ended', async () => {
    const ended = sweep({ id: 'e', name: 'old', state: 'done', ended_at: 9 });
    await show(sweep(), ended);
    fireEvent.click(screen.getByRole('button', { name: /lesson/ }));
    expect(screen.queryByRole('button', { name: 'Delete…' })).toBeNull();
    fireEvent.click(screen.getByRole('button', { name: /old/ }));
    fireEvent.click(screen.getByRole('button', { name: 'Delete…' }));
    expect(actions.remove).toHaveBeenCalledWith(ended);
  });

  it('tells how far one is, and stops it', async () => {
    const given = sweep();
    await show(given);
    expect(screen.getAllByText('4 of 30').length).toBeGreaterThan(0);
    fireEvent.click(screen.getByRole('button', { name: /lesson/ }));
    expect(screen.getByText('accuracy 0.91 in trial 2')).toBeTruthy();
    expect(screen.getByText('1 failed')).toBeTruthy();
    fireEvent.click(screen.getByRole('button', { name: 'Show runs' }));
    expect(actions.openRuns).toHaveBeenCalledWith(given);
    expect(screen.queryByRole('button', { name: 'Resume' })).toBeNull();
    fireEvent.click(screen.getByRole('button', { name: 'Stop' }));
    expect(actions.stop).toHaveBeenCalledWith(given);
  });

  it.each([{ state: 'stopped' as const }, { attended: false }])(
    'goes on with one that %j',
    async part => {
      const given = sweep(part);
      await show(given);
      fireEvent.click(screen.getByRole('button', { name: /lesson/ }));
      fireEvent.click(screen.getByRole('button', { name: 'Resume' }));
      expect(actions.resume).toHaveBeenCalledWith(given);
    }
  );
});
