import type { ISessionContext } from '@jupyterlab/apputils';
import { MessageLoop } from '@lumino/messaging';
import { Signal } from '@lumino/signaling';
import { Widget } from '@lumino/widgets';
import {
  act,
  cleanup,
  fireEvent,
  render,
  screen,
  within
} from '@testing-library/react';
import * as React from 'react';

import { FakeSocket } from '../../core/__tests__/fake-socket';
import type { ICurrentNotebook } from '../../panel/notebook/tokens';
import type { IDriven, ISection } from '../../panel/tokens';
import { Bench, settle, trans } from '../../tasks/__tests__/support';
import { TargetsModel } from '../model';
import { NotebookTarget } from '../notebook-target';
import { NotebookHost } from '../view/this-notebook';
import { TargetToolbarItem } from '../view/toolbar-item';

import { reading, target } from './support';

let bench: Bench;
let model: TargetsModel;

beforeEach(() => {
  bench = new Bench({ 'GET /targets': [target()] });
  model = new TargetsModel(bench.core);
});

afterEach(() => {
  cleanup();
  model.dispose();
  bench.dispose();
});

const shutdown = jest.fn(() => Promise.resolve());

/** A session of a notebook whose kernel can be changed. */
function session(
  name: string,
  status: string,
  connectionStatusChanged = new Signal<object, string>({})
): ISessionContext {
  const sender = {};
  return {
    session: { kernel: { id: 'k1', name, status } },
    shutdown,
    kernelDisplayStatus: status,
    kernelChanged: new Signal(sender),
    statusChanged: new Signal(sender),
    connectionStatusChanged,
    disposed: new Signal(sender)
  } as unknown as ISessionContext;
}

describe("the item in a notebook's toolbar", () => {
  const actions = {
    onReconnect: jest.fn(),
    onTakeBack: jest.fn(),
    onDetach: jest.fn(),
    onRestart: jest.fn(),
    onLog: jest.fn(),
    onTerminal: jest.fn(),
    onFiles: jest.fn(),
    onPull: jest.fn(),
    onMove: jest.fn(),
    onOpenPanel: jest.fn()
  };
  let item: TargetToolbarItem;

  async function show(
    kernelName: string,
    status = 'idle',
    connection?: Signal<object, string>
  ): Promise<HTMLElement> {
    jest.clearAllMocks();
    const notebook = new NotebookTarget(
      session(kernelName, status, connection),
      model
    );
    item = new TargetToolbarItem({ ...actions, notebook, trans });
    Widget.attach(item, document.body);
    await act(async () => {
      MessageLoop.flush();
      await settle();
    });
    return within(item.node).getByRole('button');
  }

  afterEach(() => {
    act(() => item.dispose());
  });

  it('is quiet for this machine and asks nothing', async () => {
    const button = await show('python3');
    expect(button.textContent).toBe('This machine');
    expect(bench.calls).toEqual([]);
    expect(FakeSocket.latest).toBeNull();
  });

  it('shows the state, GPUs and round trip of a target while it is seen', async () => {
    const button = await show('genops-gpu-box');
    expect(FakeSocket.latest?.topics).toEqual(['host-ends', 'targets']);
    await act(async () => {
      FakeSocket.latest?.tell('targets', [
        target({ reading: reading(), reading_age_s: 0 })
      ]);
      await settle();
    });
    expect(button.getAttribute('aria-label')).toBe(
      'Where this notebook runs: gpu-box, connected, GPU memory 25 %, GPU busy 50 %, 23 ms'
    );
    act(() => item.hide());
    await act(() => settle());
    expect(FakeSocket.latest?.topics).toEqual(['host-ends']);
    act(() => item.dispose());
    expect(FakeSocket.latest).toBeNull();
  });

  it('says at once that the Jupyter server is away, and what holds when it is back', async () => {
    const connection = new Signal<object, string>({});
    const button = await show('genops-gpu-box', 'idle', connection);
    expect(button.textContent).toContain('23 ms');
    bench.answers['GET /targets'] = () => {
      throw new TypeError('Failed to fetch');
    };
    await act(async () => {
      connection.emit('connecting');
      await settle();
    });
    expect(button.textContent).toBe('gpu-boxserver away');
    expect(button.className).toContain('gol-mod-stopped');
    bench.answers['GET /targets'] = [target()];
    await act(async () => {
      connection.emit('connected');
      await settle();
    });
    expect(button.textContent).toContain('23 ms');
  });

  it('says disconnected, and opens details with what can be done', async () => {
    bench.answers['GET /targets'] = [target({ state: 'down' })];
    const button = await show('genops-gpu-box');
    expect(button.textContent).toBe('gpu-boxdisconnected');
    fireEvent.click(button);
    await act(() => settle());
    const popup = screen.getByRole('dialog');
    expect(popup.textContent).toContain('keep running');
    expect(document.activeElement).toBe(popup);
    fireEvent.click(within(popup).getByRole('button', { name: 'Reconnect' }));
    expect(actions.onReconnect).toHaveBeenCalledWith('gpu-box');
    fireEvent.keyDown(popup, { key: 'Escape' });
    await act(() => settle());
    expect(screen.queryByRole('dialog')).toBeNull();
    expect(document.activeElement).toBe(button);
  });

  it('says who has taken the kernel over, and takes it back', async () => {
    const taken = { other: 'ada@laptop', since: 1 };
    bench.answers['GET /targets'] = [
      target({ taken: [{ kernel_id: 'another', ...taken }] })
    ];
    const button = await show('genops-gpu-box');
    expect(button.textContent).not.toContain('taken over');
    bench.answers['GET /targets'] = [
      target({ taken: [{ kernel_id: 'k1', ...taken }] })
    ];
    bench.change('target', 'gpu-box');
    await act(() => settle());
    expect(button.textContent).toBe('gpu-boxtaken over');
    fireEvent.click(button);
    await act(() => settle());
    const popup = screen.getByRole('dialog');
    expect(popup.textContent).toContain('ada@laptop took it over');
    fireEvent.click(
      within(popup).getByRole('button', { name: 'Take it back' })
    );
    expect(actions.onTakeBack).toHaveBeenCalledWith('gpu-box', 'k1');
  });

  it('says what a kernel without a host waits for and how long, and gives it up', async () => {
    const reason = '<b>All toys</b> are in use. Place in the queue: 3.';
    const since = Date.now() / 1000 - 245;
    // Another kernel of the target has its host.
    bench.answers['GET /targets'] = [
      target({ pending: [{ kernel_id: 'k1', reason, since }] })
    ];
    const button = await show('genops-gpu-box', 'starting');
    expect(button.textContent).toBe('gpu-boxwaiting to start, 4 min');
    expect(button.getAttribute('aria-label')).toBe(
      `Where this notebook runs: gpu-box, waiting to start, 4 min, ${reason}`
    );
    fireEvent.click(button);
    await act(() => settle());
    const popup = screen.getByRole('dialog');
    expect(popup.textContent).toContain(reason);
    expect(popup.textContent).not.toContain('connected');
    fireEvent.click(
      within(popup).getByRole('button', { name: 'Cancel start' })
    );
    expect(shutdown).toHaveBeenCalledTimes(1);
  });

  it('says how the kernel ended, and offers a restart, also of one whose host is gone', async () => {
    const reason = 'Ended after 30 min without work.';
    bench.answers['GET /targets'] = [
      target({ state: 'idle', ended: [{ kernel_id: 'k1', reason, since: 1 }] })
    ];
    const button = await show('genops-gpu-box', 'unknown');
    expect(button.textContent).toBe('gpu-boxkernel has ended');
    fireEvent.click(button);
    await act(() => settle());
    const popup = screen.getByRole('dialog');
    expect(popup.textContent).toContain(reason);
    expect(popup.textContent).not.toContain('idle');
    fireEvent.click(within(popup).getByRole('button', { name: 'Restart…' }));
    expect(actions.onRestart).toHaveBeenCalledWith(reason);
    expect(screen.queryByRole('dialog')).toBeNull();
  });

  it('leads to the log, and closes with a click elsewhere', async () => {
    const button = await show('genops-gpu-box');
    fireEvent.click(button);
    await act(() => settle());
    fireEvent.click(screen.getByRole('button', { name: 'Kernel log' }));
    expect(actions.onLog).toHaveBeenCalledWith('gpu-box', 'k1');
    expect(screen.queryByRole('dialog')).toBeNull();
    fireEvent.click(button);
    await act(() => settle());
    expect(screen.getByRole('dialog')).toBeTruthy();
    fireEvent.mouseDown(document.body);
    expect(screen.queryByRole('dialog')).toBeNull();
    await act(() => settle());
  });

  it('says when its target was removed', async () => {
    bench.answers['GET /targets'] = [];
    const button = await show('genops-gpu-box');
    expect(button.textContent).toContain('no longer a target');
  });
});

describe('the host of the notebook in front', () => {
  const onConnect = jest.fn();
  const onReconnect = jest.fn();

  /** What stands in the section, by the names of its rows. */
  async function show(
    kernelName: string | null
  ): Promise<Record<string, string>> {
    const shown = new Set<IDriven>();
    const section = {
      drive: (driven: IDriven) => {
        driven.visible = true;
        shown.add(driven);
        return { dispose: () => (driven.visible = false), isDisposed: false };
      }
    } as unknown as ISection;
    const current = {
      path: 'train.ipynb',
      changed: new Signal<object, void>({}),
      panel: { sessionContext: session(kernelName ?? '', 'idle') }
    } as unknown as ICurrentNotebook;
    render(
      <NotebookHost
        {...{ current, model, section, trans, onConnect, onReconnect }}
      />
    );
    await act(() => settle());
    return rows();
  }

  const rows = () =>
    Object.fromEntries(
      [...document.querySelectorAll('.gol-Facts-row')].map(row => [
        row.querySelector('dt')!.textContent,
        row.querySelector('dd')!.textContent!.trim()
      ])
    ) as Record<string, string>;

  it('is this machine, and another host is one button away', async () => {
    expect(await show('python3')).toEqual({
      'Runs on': 'This machine',
      Kernel: 'idle'
    });
    expect(bench.calls).toEqual([]);
    fireEvent.click(screen.getByRole('button'));
    expect(onConnect).toHaveBeenCalled();
  });

  it('has the round trip of a target, and no cost where that has no price', async () => {
    bench.answers['GET /targets'] = [target({ price_per_hour: null })];
    expect(await show('genops-gpu-box')).toEqual({
      'Runs on': 'gpu-boxconnected 23 ms',
      Kernel: 'idle'
    });
    expect(bench.count('GET /targets/gpu-box/kernels')).toBe(0);
    expect(screen.queryByRole('button')).toBeNull();
  });

  it('has the cost of the time since the kernel started where the target has a price', async () => {
    bench.answers['GET /targets'] = [target({ price_per_hour: 2.5 })];
    bench.answers['GET /targets/gpu-box/kernels'] = {
      target: 'gpu-box',
      connected: true,
      message: '',
      kernels: [
        { kernel_id: 'other', started_at: 1 },
        { kernel_id: 'k1', started_at: Date.now() / 1000 - 7200 }
      ]
    };
    await show('genops-gpu-box');
    await act(() => settle()); // once the target is known its kernels are asked for
    expect(rows().Cost).toBe('5 USD at 2.5 USD/h');
    expect(screen.getByText('5 USD at 2.5 USD/h').title).toBe(
      'Cost so far: 2 h since the kernel started, at 2.5 USD/h (the price of the target gpu-box)'
    );
  });

  it('says what the kernel waits for, and offers to connect again', async () => {
    bench.answers['GET /targets'] = [
      target({
        pending: [{ kernel_id: 'k1', reason: 'No node is free.', since: 1 }]
      })
    ];
    expect((await show('genops-gpu-box'))['Runs on']).toContain(
      'waiting to start'
    );
    cleanup();
    bench.answers['GET /targets'] = [target({ state: 'failed', pending: [] })];
    await model.list.refresh();
    expect((await show('genops-gpu-box'))['Runs on']).toBe('gpu-boxfailed');
    fireEvent.click(screen.getByRole('button', { name: 'Reconnect' }));
    expect(onReconnect).toHaveBeenCalledWith('gpu-box');
  });
});
