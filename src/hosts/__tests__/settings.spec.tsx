import { Notification } from '@jupyterlab/apputils';
import {
  act,
  cleanup,
  fireEvent,
  render,
  screen
} from '@testing-library/react';
import * as React from 'react';

import { Bench, Refusal, settle, trans } from '../../tasks/__tests__/support';
import { folderFields, withFolder } from '../folder-policy';
import { KernelNotices, noticeWords } from '../notices';
import type { IKernelNotice } from '../service';
import { TargetsService } from '../service';
import { SettingsForm } from '../settings';
import { SettingsFields } from '../view/settings-dialog';
import { warmWords } from '../messages';

import { target } from './support';

let bench: Bench;
let service: TargetsService;

beforeEach(() => {
  bench = new Bench({});
  service = new TargetsService(bench.core.api);
});

afterEach(() => {
  cleanup();
  bench.dispose();
});

describe('the settings of a target', () => {
  const policy = {
    folder: 'sync' as const,
    folder_max_files: 5000,
    folder_max_bytes: 200 * 1024 ** 2,
    warm_kernels: 1,
    warm_minutes: 60,
    idle_minutes: 45,
    idle_gpu_percent: 10
  };

  async function show(names: unknown): Promise<SettingsForm> {
    bench.answers['GET /secret-names'] = names;
    bench.answers['PUT /targets/gpu-box'] = target({ policy });
    const form = new SettingsForm(
      service,
      target({ policy, secrets: ['HF_TOKEN'], price_per_hour: 2.5 }),
      trans
    );
    const draw = () => <SettingsFields form={form} trans={trans} />;
    const { rerender } = render(draw());
    form.changed.connect(() => act(() => rerender(draw())));
    await act(async () => {
      await form.load().catch(() => undefined);
    });
    return form;
  }

  const field = (label: string) =>
    screen.getByLabelText<HTMLInputElement>(label);
  const type = (label: string, value: string) =>
    fireEvent.change(field(label), { target: { value } });

  it('tick secrets by name, and send all that is set', async () => {
    const form = await show(['API_KEY', 'HF_TOKEN']);
    expect(field('HF_TOKEN').checked).toBe(true);
    fireEvent.click(field('API_KEY'));
    fireEvent.click(field('HF_TOKEN'));
    type('Kernels kept ready', '2');
    type('GPU counts as busy above', '20');
    type('Ask above (MiB)', '1.5');
    type('Ask above (files)', '10');
    type('Another variable', 'WANDB');
    type('Price in USD an hour', '');
    fireEvent.click(
      field('Send the notebook’s folder to the host before a kernel starts')
    );
    expect(field('Stop idle kernels').value).toBe('45');
    await act(async () => {
      expect(await form.submit()).toBe(true);
    });
    expect(bench.bodies.pop()).toEqual({
      price_per_hour: null,
      secrets: ['API_KEY', 'WANDB'],
      policy: {
        ...policy,
        folder: 'off',
        folder_max_files: 10,
        folder_max_bytes: 1.5 * 1024 ** 2,
        warm_kernels: 2,
        warm_minutes: 60,
        idle_gpu_percent: 20
      }
    });
  });

  it('say what cannot be meant, and show ticked names where the others cannot be read', async () => {
    const form = await show(new Refusal(500, 'failed', 'no'));
    expect(field('HF_TOKEN').checked).toBe(true);
    type('Another variable', 'HF_TOKEN=secret');
    expect(screen.getByText(/only the name of a variable/)).toBeTruthy();
    expect(form.valid).toBe(false);
    type('Another variable', '');
    type('Price in USD an hour', 'much');
    expect(form.valid).toBe(false);
    type('Price in USD an hour', '3');
    type('Kernels kept ready', '9');
    expect(screen.getByText('Enter a whole number from 0 to 8.')).toBeTruthy();
    expect(form.valid).toBe(false);
    type('Kernels kept ready', '8');
    expect(form.valid).toBe(true);
    type('Ask above (MiB)', '-4');
    expect(screen.getByText('Enter a number of 0 or more.')).toBeTruthy();
    expect(form.valid).toBe(false);
    type('Ask above (MiB)', '4');
    type('Ask above (files)', '1.5');
    expect(screen.getByText('Enter a whole number of 0 or more.')).toBeTruthy();
    expect(form.valid).toBe(false);
    fireEvent.click(
      field('Send the notebook’s folder to the host before a kernel starts')
    );
    expect(form.valid).toBe(true);
    type('GPU counts as busy above', '101');
    expect(screen.getByText('Enter a number from 0 to 100.')).toBeTruthy();
    expect(form.valid).toBe(false);
    type('Stop idle kernels', '0');
    expect(screen.queryByLabelText('GPU counts as busy above')).toBeNull();
    await act(async () => {
      expect(await form.submit()).toBe(true);
    });
    const sent = bench.bodies.pop() as { policy: typeof policy };
    expect(sent.policy.folder_max_files).toBe(policy.folder_max_files);
    expect(sent.policy.folder_max_bytes).toBe(4 * 1024 ** 2);
    expect(sent.policy.idle_gpu_percent).toBe(policy.idle_gpu_percent);
  });

  it('leave a cap alone that was only rounded to be shown', async () => {
    const before = { ...policy, folder_max_bytes: 200_000_000 };
    expect(folderFields(before).folderMebibytes).toBe(190.7);
    expect(withFolder(before, folderFields(before), trans)).toEqual(before);
  });

  it('tell in words how many kernels stand ready', () => {
    const words = (part: Parameters<typeof target>[0]) =>
      warmWords(
        target({ policy: { ...policy, warm_kernels: 2 }, ...part }),
        trans
      );
    expect(words({ state: 'idle' })).toBe('2 while connected');
    expect(words({ state: 'up', warm_ready: 2 })).toBe('2 ready');
    expect(words({ state: 'up', warm_ready: 0, warm_message: 'No zmq.' })).toBe(
      '0 of 2 ready: No zmq.'
    );
    expect(warmWords(target(), trans)).toBe('');
    const pods = { state: 'up', warm_ready: 2, allocates: true } as const;
    expect(words({ ...pods, price_per_hour: 2.5 })).toBe(
      '2 ready, for 1 hour at most (2.5 USD an hour each)'
    );
  });
});

describe('notices of kernels without work', () => {
  const warning: IKernelNotice = {
    target: 'gpu-box',
    kernel_id: 'k1',
    kind: 'warning',
    path: '/home/me/train.ipynb',
    text: '',
    ends_at: 1300
  };
  const ended: IKernelNotice = {
    ...warning,
    kind: 'ended',
    text: 'Ended after 30 min without work; freed 21.4 GiB of GPU memory on GPU 0.',
    ends_at: null
  };
  const shown = () =>
    Notification.manager.notifications.map(({ message }) => message);
  const restart = jest.fn();
  let notices: KernelNotices;

  beforeEach(() => {
    notices = new KernelNotices(bench.core, service, restart);
  });

  afterEach(() => {
    notices.dispose();
    Notification.dismiss();
  });

  it('name the notebook, the time that is left, and what was freed', () => {
    expect(noticeWords(warning, 1000, trans)).toBe(
      'train.ipynb (kernel on gpu-box) is idle and stops in 5 minutes unless you run a cell.'
    );
    expect(noticeWords({ ...ended, path: '' }, 0, trans)).toBe(
      'A kernel on gpu-box: Ended after 30 min without work; freed 21.4 GiB of GPU memory on GPU 0. Restart the kernel to continue.'
    );
  });

  it('are shown once, keep the kernel by their button, and go when it is kept', async () => {
    bench.answers['GET /kernel-notices'] = [warning];
    bench.answers['POST /targets/gpu-box/kernels/k1/keep'] = {};
    notices.start();
    await settle();
    bench.change('kernel_notice', 'k1');
    await settle();
    expect(shown()).toHaveLength(1);
    const [{ options }] = Notification.manager.notifications;
    expect(options.actions?.map(({ label }) => label)).toEqual([
      'Keep it running'
    ]);
    options.actions?.[0].callback(new MouseEvent('click'));
    await settle();
    expect(bench.count('POST /targets/gpu-box/kernels/k1/keep')).toBe(1);
    bench.answers['GET /kernel-notices'] = [];
    bench.change('kernel_notice', 'k1');
    await settle();
    expect(shown()).toEqual([]);
    expect(bench.count('DELETE /kernel-notices/k1')).toBe(0);
  });

  it('of an end take the place of the warning, and are read when they are closed', async () => {
    bench.answers['GET /kernel-notices'] = [warning];
    bench.answers['DELETE /kernel-notices/k1'] = {};
    notices.start();
    await settle();
    bench.answers['GET /kernel-notices'] = [ended];
    bench.change('kernel_notice', 'k1');
    await settle();
    expect(shown()).toEqual([expect.stringContaining('freed 21.4 GiB')]);
    const [{ options }] = Notification.manager.notifications;
    expect(options.actions?.map(({ label }) => label)).toEqual(['Restart…']);
    options.actions?.[0].callback(new MouseEvent('click'));
    expect(restart).toHaveBeenCalledWith(ended);
    Notification.dismiss(Notification.manager.notifications[0].id);
    await settle();
    expect(bench.count('DELETE /kernel-notices/k1')).toBe(1);
  });

  it('wait for a server that is away', async () => {
    bench.answers['GET /kernel-notices'] = new Refusal(500, 'failed', 'away');
    notices.start();
    await settle();
    bench.answers['GET /kernel-notices'] = [ended];
    bench.core.events.refresh();
    await settle();
    expect(shown()).toHaveLength(1);
  });
});
