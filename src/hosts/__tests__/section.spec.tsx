import {
  act,
  cleanup,
  fireEvent,
  render,
  screen,
  within
} from '@testing-library/react';
import * as React from 'react';

import { Bench, Refusal, settle, trans } from '../../tasks/__tests__/support';
import { capacityWords } from '../capacity-messages';
import { TargetsModel } from '../model';
import type { ITarget } from '../service';
import { shortBytesOf } from '../view/gpu-bars';
import { TargetsView } from '../view/section';

import { GIB, gpu, kernel, reading, target } from './support';

let bench: Bench;
let model: TargetsModel;

beforeEach(() => {
  bench = new Bench({ 'GET /targets': [target()], 'GET /questions': [] });
  model = new TargetsModel(bench.core);
});

afterEach(() => {
  cleanup();
  model.dispose();
  bench.dispose();
});

const drive = (driven: { visible: boolean }) => {
  driven.visible = true;
  return {
    dispose: () => {
      driven.visible = false;
    }
  };
};

describe('the targets in the panel', () => {
  const actions = {
    onAdd: jest.fn(),
    onConnect: jest.fn(),
    onDisconnect: jest.fn(),
    onTest: jest.fn(),
    onRemove: jest.fn(),
    onSettings: jest.fn(),
    onRequest: jest.fn(),
    onClean: jest.fn(),
    onRelease: jest.fn(),
    onNewNotebook: jest.fn(),
    onAttachKernel: jest.fn(),
    onStopKernel: jest.fn(),
    onKernelLog: jest.fn(),
    onOpenPort: jest.fn(),
    onTerminal: jest.fn(),
    onFiles: jest.fn(),
    titleOf: jest.fn(() => 'train.ipynb'),
    onGiveUp: jest.fn()
  };

  async function show(...targets: ITarget[]): Promise<void> {
    jest.clearAllMocks();
    bench.answers['GET /targets'] = targets;
    model.visible = true;
    render(<TargetsView {...{ model, trans, drive }} {...actions} />);
    await act(() => settle());
  }

  const button = (name: string) => screen.getByRole('button', { name });

  it('say what to do when there is none: hosts of the ssh_config, one click each', async () => {
    bench.answers['GET /targets/candidates'] = [
      { alias: 'gpu1', name: 'gpu1', hostname: 'gpu1.org', user: '', port: 0 }
    ];
    await show();
    fireEvent.click(
      screen.getAllByRole('button', { name: 'Add a target…' })[1]
    );
    expect(actions.onAdd).toHaveBeenLastCalledWith();
    fireEvent.click(button('Import from ~/.ssh/config'));
    await act(() => settle());
    expect(screen.getByText('gpu1.org')).toBeTruthy();
    fireEvent.click(button('Add'));
    expect(actions.onAdd.mock.lastCall[0].alias).toBe('gpu1');
  });

  it('list the kernels that wait for a host, and give one up', async () => {
    const since = Date.now() / 1000;
    const pending = [
      { kernel_id: 'k1', reason: 'No GPU is free.', since: since - 3700 },
      { kernel_id: 'k2', reason: 'Place in the queue: 2.', since }
    ];
    await show(target({ state: 'pending', message: 'x', since, pending }));
    const list = screen.getByRole('list', {
      name: 'Kernels of gpu-box that wait to start'
    });
    const rows = within(list).getAllByRole('listitem');
    expect(rows.map(({ textContent }) => textContent)).toEqual([
      'train.ipynb waiting to start, 1 h 1 minNo GPU is free.Cancel start',
      'train.ipynb waiting to startPlace in the queue: 2.Cancel start'
    ]);
    fireEvent.click(within(rows[1]).getByRole('button'));
    expect(actions.onGiveUp).toHaveBeenCalledWith(pending[1]);
    expect(screen.queryByRole('button', { name: 'Cancel' })).toBeNull();
  });

  it('count how long a connection waits for its host', async () => {
    const since = Date.now() / 1000 - 200;
    await show(target({ state: 'pending', message: 'All are in use.', since }));
    expect(
      screen.getByText('All are in use. It has waited for 3 min 20 s.')
    ).toBeTruthy();
  });

  it('say so where the ssh_config names none, and where it cannot be read', async () => {
    bench.answers['GET /targets/candidates'] = [];
    await show();
    fireEvent.click(button('Import from ~/.ssh/config'));
    await act(() => settle());
    expect(screen.getByText(/has no other hosts/)).toBeTruthy();
    bench.answers['GET /targets/candidates'] = new Refusal(500, 'x', 'Broken.');
    fireEvent.click(button('Import from ~/.ssh/config'));
    await act(() => settle());
    expect(screen.getByText(/Broken/)).toBeTruthy();
  });

  it('show the state, the round trip, the price and the GPUs', async () => {
    await show(
      target({ price_per_hour: 2.1, reading: reading(), reading_age_s: 0.5 })
    );
    const card = screen.getByRole('region', { name: 'Target gpu-box' });
    expect(card.textContent).toContain('connected');
    expect(card.textContent).toContain('23 ms · 2.1 USD/h · gpu1.example.org');
    const bar = within(card).getByRole('meter', { name: 'GPU 0 NVIDIA H100' });
    expect(bar.getAttribute('aria-valuenow')).toBe('25');
    expect(bar.getAttribute('aria-valuetext')).toBe('20/80 GiB, 50 % busy');
    expect(screen.queryByText(/old/)).toBeNull();
    fireEvent.click(button('Disconnect'));
    expect(actions.onDisconnect.mock.lastCall[0].name).toBe('gpu-box');
    fireEvent.click(button('New notebook'));
    expect(actions.onNewNotebook).toHaveBeenCalledTimes(1);
  });

  it('show each host of a target that gets one for each kernel, and those left over', async () => {
    const host = {
      host_id: 'kernel-1-of-ada',
      state: 'up' as const,
      since: 100,
      rtt_s: 0.02,
      message: '',
      hint: '',
      path: 'work/train.ipynb',
      reading: reading(),
      reading_age_s: 0.5,
      ends_at: null,
      notice: '',
      left_over: false,
      release_at: null
    };
    await show(
      target({
        allocates: true,
        host_noun: 'pod',
        price_per_hour: 2.1,
        pending: [{ kernel_id: 'kernel-9', reason: 'In a queue.', since: 100 }],
        hosts: [
          host,
          { ...host, host_id: 'kernel-9', state: 'pending', reading: null },
          {
            ...host,
            host_id: 'kernel-2',
            state: 'pending',
            message: 'Insufficient nvidia.com/gpu.',
            path: '',
            reading: null,
            reading_age_s: null
          },
          {
            ...host,
            host_id: 'lost',
            state: 'idle',
            path: '',
            reading: null,
            reading_age_s: null,
            left_over: true,
            release_at: Date.now() / 1000 + 540
          }
        ]
      })
    );
    const card = screen.getByRole('region', { name: 'Target gpu-box' });
    expect(card.textContent).toContain('a pod for each kernel');
    const [first, second, third, ...more] = within(
      within(card).getByRole('list', { name: 'pods of gpu-box' })
    ).getAllByRole('listitem');
    expect(more).toEqual([]); // the fourth is told with the kernel that waits
    expect(first.textContent).toContain('pod of train.ipynb');
    within(first).getByRole('meter', { name: 'GPU 0 NVIDIA H100' });
    expect(second.textContent).toContain('waiting to start');
    expect(second.textContent).toContain('Insufficient nvidia.com/gpu.');
    expect(third.textContent).toContain('left over');
    expect(third.textContent).toContain('It stops in 9 min');
    expect(third.textContent).toContain('It costs 2.1 USD/h');
    fireEvent.click(button('Stop now'));
    expect(actions.onRelease.mock.lastCall[1].host_id).toBe('lost');
  });

  it('says when a host ends, and shows the first of many', async () => {
    const now = Date.now() / 1000;
    const host = (index: number) => ({
      host_id: `kernel-${index}`,
      state: 'up' as const,
      since: 100,
      rtt_s: 0.02,
      message: '',
      hint: '',
      path: '',
      reading: null,
      reading_age_s: null,
      ends_at: index ? now + 8 * 3600 : now + 630,
      notice: '',
      left_over: false,
      release_at: null
    });
    await show(
      target({
        allocates: true,
        host_noun: 'job',
        hosts: Array.from({ length: 200 }, (_, index) => host(index))
      })
    );
    expect(screen.getByText(/200 kernels/)).toBeTruthy();
    const list = screen.getByRole('list', { name: 'jobs of gpu-box' });
    expect(within(list).getAllByRole('listitem').length).toBe(21);
    const told = within(list).getAllByText(/This job ends at .*, in 10 min/);
    expect(told.length).toBe(1);
    fireEvent.click(screen.getByRole('button', { name: 'Show all 200' }));
    expect(within(list).getAllByRole('listitem').length).toBe(201);
  });

  it('leaves out what was free while a kernel waits: the reason is newer', async () => {
    await show(target({ allocates: true, state: 'pending', message: 'Full.' }));
    expect(screen.queryByText(/free GPUs/i)).toBeNull();
  });

  it('asks a cluster what is free on a press alone, and never says 0 for not known', async () => {
    const saved = {
      target: 'queue',
      month: '2026-12',
      kernels: 2,
      hours: 12.34,
      usd: 50
    };
    const queue = {
      allocates: true,
      name: 'queue',
      state: 'idle' as const,
      saved
    };
    await show(target(queue));
    expect(screen.getByText('12.3 h (50 USD) saved this month')).toBeTruthy();
    expect(bench.calls.some(call => call.includes('capacity'))).toBe(false);
    const gpus = [
      { kind: 'a100', free: 0, total: 4, on_one_host: 0 },
      { kind: 'h100', free: 3, total: 8, on_one_host: 2 }
    ];
    const known = { gpus, waiting: 5, source: 'sinfo', note: '' };
    bench.answers['POST /targets/queue/capacity'] = () => {
      const read = target({ ...queue, capacity: known, capacity_age_s: 1 });
      bench.answers['GET /targets'] = [read];
      return read;
    };
    fireEvent.click(button('Show free GPUs'));
    await act(() => settle());
    expect(
      screen.getByText('0 of 4 a100 free, 3 of 8 h100 free · 5 wait')
    ).toBeTruthy();
    expect(screen.queryByRole('button', { name: 'Show free GPUs' })).toBe(null);
    expect(
      capacityWords(
        {
          capacity: { ...known, gpus: null, waiting: null, note: 'Away.' },
          capacity_age_s: 1
        },
        trans
      )
    ).toBe('Free GPUs: not known · Away.');
  });

  it('show who uses a GPU and its slices in the details', async () => {
    const one = gpu({
      mig: [
        {
          uuid: 'M',
          profile: '3g.40gb',
          memory_total_bytes: 40 * GIB,
          memory_used_bytes: 2 * GIB
        }
      ],
      processes: [{ pid: 42, user: 'grace', memory_bytes: GIB }]
    });
    await show(target({ reading: reading({ gpus: [one] }), reading_age_s: 1 }));
    expect(screen.queryByText('grace, process 42')).toBeNull();
    fireEvent.click(button('Details'));
    expect(screen.getByText('grace, process 42')).toBeTruthy();
    expect(screen.getByText('slice 3g.40gb')).toBeTruthy();
    expect(screen.getByText('61 °C · 412 W')).toBeTruthy();
  });

  it('leave out what a driver does not report', async () => {
    await show(
      target({
        reading: reading({
          cpu_percent: null,
          memory_used_bytes: null,
          gpus: [
            gpu({
              memory_used_bytes: null,
              memory_total_bytes: null,
              utilization_percent: null,
              temperature_c: null,
              power_w: null
            })
          ]
        }),
        reading_age_s: 1
      })
    );
    fireEvent.click(button('Details'));
    expect(screen.queryByText(/null|NaN|undefined/)).toBeNull();
    expect(screen.queryByRole('meter', { name: 'CPU' })).toBeNull();
  });

  it('call a lost link disconnected, and offer to try now', async () => {
    await show(
      target({
        state: 'down',
        retry_at: Date.now() / 1000 + 20,
        reading: reading(),
        reading_age_s: 120
      })
    );
    expect(screen.getByText('disconnected')).toBeTruthy();
    expect(screen.getByText(/keep running\. Reconnecting in/)).toBeTruthy();
    expect(screen.getByText('Readings are 2 min old')).toBeTruthy();
    expect(screen.queryByText(/dead/)).toBeNull();
    fireEvent.click(button('Reconnect now'));
    expect(actions.onConnect).toHaveBeenCalledTimes(1);
  });

  it('say why a connection failed and what to do', async () => {
    await show(
      target({ state: 'failed', message: 'No Python.', hint: 'Install one.' })
    );
    expect(screen.getByText('No Python.')).toBeTruthy();
    expect(screen.getByText('Install one.')).toBeTruthy();
    fireEvent.click(button('Connect'));
    fireEvent.click(button('Test gpu-box'));
    fireEvent.click(button('Delete gpu-box'));
    expect(actions.onConnect).toHaveBeenCalledTimes(1);
    expect(actions.onTest).toHaveBeenCalledTimes(1);
    expect(actions.onRemove).toHaveBeenCalledTimes(1);
  });

  it("cannot remove an administrator's", async () => {
    await show(target({ locked: true, state: 'connecting' }));
    expect(screen.queryByRole('button', { name: /Delete/ })).toBeNull();
    fireEvent.click(button('Cancel'));
    expect(actions.onDisconnect).toHaveBeenCalledTimes(1);
  });

  it('read the kernels there only while they are shown', async () => {
    bench.answers['GET /targets/gpu-box/kernels'] = {
      target: 'gpu-box',
      connected: true,
      message: '',
      kernels: [
        kernel(),
        kernel({
          kernel_id: 'k2',
          notebook: '',
          execution_state: 'idle',
          ours: false,
          attached: { client: 'c', since: 1, label: 'ada@laptop' }
        }),
        kernel({
          kernel_id: 'k3',
          notebook: 'old.ipynb',
          state: 'ended',
          reason: 'The host was restarted.'
        })
      ]
    };
    await show(target());
    expect(bench.count('GET /targets/gpu-box/kernels')).toBe(0);
    fireEvent.click(button('Running kernels'));
    await act(() => settle());
    const rows = within(
      screen.getByRole('list', { name: 'Kernels on gpu-box' })
    ).getAllByRole('listitem');
    expect(rows[0].textContent).toContain('train.ipynb');
    expect(rows[0].textContent).toContain('this Lab');
    expect(rows[1].textContent).toContain('ada@laptop');
    expect(rows[2].textContent).toContain('The host was restarted.');
    expect(within(rows[2]).queryByRole('button', { name: /Stop/ })).toBeNull();
    expect(
      within(rows[0]).queryByRole('button', { name: /Attach/ })
    ).toBeNull();
    fireEvent.click(button('Attach genops-gpu-box to this Lab'));
    expect(actions.onAttachKernel.mock.lastCall[1].kernel_id).toBe('k2');
    fireEvent.click(button('Stop train.ipynb'));
    expect(actions.onStopKernel.mock.lastCall[1].kernel_id).toBe('k1');
    fireEvent.click(button('Show the log of old.ipynb'));
    expect(actions.onKernelLog.mock.lastCall[1].kernel_id).toBe('k3');
    fireEvent.click(button('Running kernels'));
    bench.change('target', 'gpu-box');
    await act(() => settle());
    expect(bench.count('GET /targets/gpu-box/kernels')).toBe(1);
  });

  it('write memory short', () => {
    expect(shortBytesOf(61.3 * GIB, 80 * GIB)).toBe('61/80 GiB');
    expect(shortBytesOf(614 * 1024 ** 2, 80 * GIB)).toBe('0.6/80 GiB');
    expect(shortBytesOf(0, 80 * GIB)).toBe('0/80 GiB');
    expect(shortBytesOf(0, 0)).toBe('0/0 B');
  });
});
