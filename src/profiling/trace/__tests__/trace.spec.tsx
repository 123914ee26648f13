import {
  act,
  cleanup,
  fireEvent,
  render,
  screen
} from '@testing-library/react';
import * as React from 'react';

import {
  Bench,
  Refusal,
  settle,
  trans
} from '../../../tasks/__tests__/support';
import type { ITask } from '../../../tasks/service';
import { PerfettoModel } from '../../perfetto/model';
import { PerfettoService } from '../../perfetto/service';
import { TraceFetch } from '../model';
import { FetchTrace } from '../view';

function makeTask(part: Partial<ITask> = {}): ITask {
  return {
    id: 't1',
    title: 'Fetch the trace of one epoch',
    state: 'running',
    subject: 'profile:p1',
    kind: 'trace',
    client: '',
    message: '12.0 MiB of 48.0 MiB',
    hint: '',
    progress: 0.25,
    created_at: 0,
    finished_at: null,
    ...part
  };
}

describe('a trace on a target', () => {
  let bench: Bench;

  beforeEach(() => {
    bench = new Bench({ 'GET /tasks': [] });
  });

  afterEach(() => {
    cleanup();
    bench.dispose();
  });

  async function show(visible = true): Promise<void> {
    render(
      <FetchTrace
        profileId="p1"
        make={() => new TraceFetch(bench.core, 'p1')}
        visible={visible}
        words="The trace is on gpu1."
        trans={trans}
      />
    );
    await act(() => settle());
  }

  async function told(...tasks: ITask[]): Promise<void> {
    bench.answers['GET /tasks'] = tasks;
    bench.change('task', 't1');
    await act(() => settle());
  }

  const press = async (name: string) => {
    fireEvent.click(screen.getByRole('button', { name }));
    await act(() => settle());
  };

  it('comes with progress, and can be cancelled', async () => {
    await show();
    bench.answers['POST /profiles/p1/trace'] = () => {
      bench.answers['GET /tasks'] = [makeTask({ progress: null, message: '' })];
      return makeTask();
    };
    await press('Fetch the trace');
    await told(makeTask({ id: 't2', subject: 'profile:p2' }), makeTask());
    expect(screen.queryByText('The trace is on gpu1.')).toBeNull();
    expect(screen.getByText('12.0 MiB of 48.0 MiB')).toBeTruthy();
    const meter = screen.getByRole('meter', { name: 'Fetching the trace' });
    expect(meter.getAttribute('aria-valuenow')).toBe('25');
    bench.answers['POST /tasks/t1/cancel'] = () => {
      bench.answers['GET /tasks'] = [makeTask({ state: 'cancelled' })];
      return makeTask({ state: 'cancelled' });
    };
    await press('Cancel');
    expect(bench.count('POST /tasks/t1/cancel')).toBe(1);
    expect(screen.getByText('The trace is on gpu1.')).toBeTruthy();
    expect(screen.queryByRole('alert')).toBeNull();
  });

  it('says why it did not come', async () => {
    await show();
    bench.answers['POST /profiles/p1/trace'] = new Refusal(
      409,
      'not_connected',
      'gpu1 is not connected.',
      'Connect it first.'
    );
    await press('Fetch the trace');
    expect(screen.getByRole('alert').textContent).toBe(
      'gpu1 is not connected. Connect it first.'
    );
    await told(
      makeTask({ state: 'failed', message: 'The disk is full.', hint: '' })
    );
    bench.answers['POST /profiles/p1/trace'] = makeTask();
    await press('Fetch the trace');
    expect(screen.getByRole('alert').textContent).toBe('The disk is full.');
  });

  it('asks for nothing while it is not seen', async () => {
    await show(false);
    await told(makeTask());
    expect(bench.count('GET /tasks')).toBe(0);
  });

  it('is opened in Perfetto once it is here', async () => {
    const cut = 'POST /profiles/p1/perfetto';
    bench.answers[cut] = new Refusal(
      409,
      'trace_elsewhere',
      'This needs the whole trace, which is on gpu1.'
    );
    bench.answers['GET /profiles/perfetto'] = { path: 'ui/', version: 'v1' };
    const { api, events } = bench.core;
    const model = new PerfettoModel({
      profileId: 'p1',
      asked: { first_us: 0, last_us: 1, slice: null, rank: null },
      service: new PerfettoService(api, trans),
      events,
      trans
    });
    await model.load();
    await model.load();
    expect(model.isElsewhere).toBe(true);
    bench.change('profile', 'p2');
    await settle();
    expect(bench.count(cut)).toBe(1);
    bench.answers[cut] = new Refusal(500, 'failed', 'Another reason.');
    bench.change('profile', 'p1');
    await settle();
    expect([bench.count(cut), model.isElsewhere]).toEqual([2, false]);
    model.dispose();
  });
});
