import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import { nullTranslator } from '@jupyterlab/translation';
import { MessageLoop } from '@lumino/messaging';
import { Signal } from '@lumino/signaling';
import { Widget } from '@lumino/widgets';
import {
  act,
  cleanup,
  fireEvent,
  render,
  screen
} from '@testing-library/react';
import * as React from 'react';

import type { LiveChannel } from '../../core';
import { ApiError, GenOpsEvents } from '../../core';
import { FakeSocket, fakeLive } from '../../core/__tests__/fake-socket';
import { CurrentKernel } from '../current-kernel';
import { HISTORY, MachineModel } from '../model';
import type { IGpu, IKernelUse, IMachine, IMachineReading } from '../service';
import { ComputeView } from '../view/section';
import { KernelStatusItem } from '../view/status-item';

const trans = nullTranslator.load('genops_lab');
const GIB = 1024 ** 3;

function machine(part: Partial<IMachine> = {}): IMachine {
  return {
    name: 'workstation',
    platform: 'Linux',
    cpu_count: 8,
    cpu_model: 'A CPU',
    cpu_percent: 37.4,
    memory_total_bytes: 16 * GIB,
    memory_used_bytes: 4 * GIB,
    disk_total_bytes: 100 * GIB,
    disk_free_bytes: 60 * GIB,
    gpus: [],
    gpu_state: 'none',
    gpu_message: '',
    sampled_at: 100,
    ...part
  };
}

function kernel(part: Partial<IKernelUse> = {}): IKernelUse {
  return {
    kernel_id: 'k1',
    kernel_name: 'python3',
    target: 'local',
    preset: '',
    path: 'work/train.ipynb',
    state: 'busy',
    pid: 42,
    cpu_percent: 98,
    memory_bytes: GIB,
    gpu_memory_bytes: null,
    ...part
  };
}

const BARE_GPU: IGpu = {
  index: 0,
  name: 'NVIDIA H100',
  memory_total_bytes: null,
  memory_used_bytes: null,
  utilization_percent: null,
  temperature_c: null,
  power_w: null
};

describe('the compute room', () => {
  let live: LiveChannel;
  let model: MachineModel;
  let first: IMachineReading;
  const fetch = jest.fn<Promise<IMachineReading>, [AbortSignal]>();

  beforeEach(() => {
    jest.useFakeTimers();
    first = { machine: machine(), kernels: [kernel()] };
    fetch.mockReset().mockImplementation(() => Promise.resolve(first));
    live = fakeLive();
    model = new MachineModel({
      live,
      trans,
      fetch,
      events: new GenOpsEvents({ stream: new Signal({}) })
    });
  });

  afterEach(() => {
    cleanup();
    model.dispose();
    live.dispose();
    jest.useRealTimers();
  });

  const pass = (ms = 0) => act(() => jest.advanceTimersByTimeAsync(ms));

  async function show() {
    const onOpenNotebook = jest.fn();
    const onNewNotebook = jest.fn();
    const watching = model.watch();
    render(
      <ComputeView {...{ model, trans, onOpenNotebook, onNewNotebook }} />
    );
    await pass();
    return { onOpenNotebook, onNewNotebook, watching };
  }

  it('reads only while watched: one request, then the live topic', async () => {
    await pass(60000);
    expect(fetch).not.toHaveBeenCalled();
    expect(FakeSocket.latest).toBeNull();
    const one = model.watch();
    const two = model.watch();
    await pass();
    expect(fetch).toHaveBeenCalledTimes(1);
    expect(FakeSocket.latest?.sent).toEqual([{ subscribe: ['machine'] }]);
    FakeSocket.latest?.tell('machine', {
      machine: machine({ sampled_at: 101, cpu_percent: 5 }),
      kernels: []
    });
    expect(model.reading?.machine.cpu_percent).toBe(5);
    one.dispose();
    expect(FakeSocket.latest).not.toBeNull();
    two.dispose();
    expect(FakeSocket.latest).toBeNull();
  });

  it('keeps a bounded history and drops a reading that comes late', async () => {
    model.watch();
    await pass();
    for (let index = 1; index <= HISTORY + 5; index++) {
      FakeSocket.latest?.tell('machine', {
        machine: machine({ sampled_at: 100 + index, cpu_percent: index }),
        kernels: []
      });
    }
    expect(model.history.cpu).toHaveLength(HISTORY);
    expect(model.history.cpu[HISTORY - 1]).toBe(HISTORY + 5);
    expect(model.history.memory[0]).toBe(25);
    FakeSocket.latest?.tell('machine', {
      machine: machine({ cpu_percent: 99 }),
      kernels: []
    });
    expect(model.reading?.machine.cpu_percent).toBe(HISTORY + 5);
  });

  const open = () =>
    fireEvent.click(screen.getByRole('button', { name: /^This machine:/ }));

  it('shows the machine in one line until it is opened', async () => {
    first = {
      machine: machine({
        gpu_state: 'ok',
        disk_free_bytes: 5 * GIB,
        gpus: [
          { ...BARE_GPU, utilization_percent: 20 },
          { ...BARE_GPU, index: 1, utilization_percent: 60 }
        ]
      }),
      kernels: []
    };
    await show();
    const line = screen.getByRole('button', { name: /^This machine:/ });
    expect(line.textContent).toBe(
      'This machine:Disk 95 %CPU 37 %Mem 25 %2 GPUs 40 %'
    );
    expect(line.title).toContain('Mem: 4.0 / 16.0 GiB');
    expect(line.getAttribute('aria-expanded')).toBe('false');
    expect(screen.queryByRole('meter')).toBeNull();
    fireEvent.click(line);
    expect(screen.getAllByRole('meter').length).toBeGreaterThan(2);
  });

  it('shows the machine with meters, and no GPU as a plain line', async () => {
    await show();
    open();
    expect(screen.getByText('workstation')).toBeTruthy();
    const cpu = screen.getByRole('meter', { name: 'CPU' });
    expect(cpu.getAttribute('aria-valuenow')).toBe('37');
    expect(
      screen
        .getByRole('meter', { name: 'Memory' })
        .getAttribute('aria-valuetext')
    ).toBe('4.0 / 16.0 GiB');
    expect(screen.getByText('No GPU on this machine')).toBeTruthy();
    expect(screen.queryByText(/driver/)).toBeNull();
  });

  it('leaves out a disk that does not answer', async () => {
    first = {
      machine: machine({ disk_total_bytes: 0, disk_free_bytes: 0 }),
      kernels: []
    };
    await show();
    open();
    expect(screen.getByRole('meter', { name: 'Memory' })).toBeTruthy();
    expect(screen.queryByRole('meter', { name: 'Disk' })).toBeNull();
    expect(screen.queryByText(/Disk/)).toBeNull();
  });

  it('leaves out what a GPU does not report', async () => {
    first = {
      machine: machine({
        gpu_state: 'ok',
        gpus: [
          BARE_GPU,
          { ...BARE_GPU, index: 1, utilization_percent: 0, power_w: 310.4 }
        ]
      }),
      kernels: []
    };
    await show();
    open();
    const [bare, second] = Array.from(document.querySelectorAll('.gol-Gpu'));
    expect(bare.textContent).toBe('GPU 0 · NVIDIA H100');
    expect(second.textContent).toContain('310 W');
    expect(second.textContent).not.toContain('°C');
    expect(second.querySelectorAll('[role=meter]')).toHaveLength(1);
    expect(screen.queryByText(/null|NaN|undefined/)).toBeNull();
  });

  it('says when the GPU driver fails, and why', async () => {
    first = {
      machine: machine({ gpu_state: 'error', gpu_message: 'Driver mismatch.' }),
      kernels: []
    };
    await show();
    open();
    expect(screen.getByText('The GPU driver does not answer')).toBeTruthy();
    expect(screen.getByText('Driver mismatch.')).toBeTruthy();
  });

  it("opens a kernel's notebook; a kernel without one opens nothing", async () => {
    first = {
      machine: machine(),
      kernels: [kernel(), kernel({ kernel_id: 'k2', path: '', state: 'idle' })]
    };
    const { onOpenNotebook } = await show();
    const row = screen.getByRole('button', { name: /train\.ipynb/ });
    expect(row.textContent).toContain('CPU 98 %');
    expect(row.textContent).toContain('1.0 GiB');
    fireEvent.click(row);
    expect(onOpenNotebook).toHaveBeenCalledWith('work/train.ipynb');
    // With the one that opens the machine.
    expect(screen.getAllByRole('button')).toHaveLength(2);
  });

  it('offers a notebook where no kernel runs', async () => {
    first = { machine: machine(), kernels: [] };
    const { onNewNotebook } = await show();
    fireEvent.click(screen.getByRole('button', { name: 'New notebook' }));
    expect(onNewNotebook).toHaveBeenCalled();
  });

  it('says that the machine cannot be read, and comes back by itself', async () => {
    fetch.mockRejectedValueOnce(
      new ApiError({ status: 0, code: 'network', message: 'No answer.' })
    );
    await show();
    expect(screen.getByText('This machine cannot be read.')).toBeTruthy();
    expect(screen.getByText('No answer.')).toBeTruthy();
    await pass(2500);
    open();
    expect(screen.getByText('workstation')).toBeTruthy();
    expect(screen.queryByText('No answer.')).toBeNull();
  });

  describe('in the status bar', () => {
    function notebook(id: string | null) {
      const sessionContext = {
        session: id === null ? null : { kernel: { id } },
        kernelChanged: new Signal<object, unknown>({})
      };
      return { sessionContext } as unknown as NotebookPanel;
    }

    function tracker(panel: NotebookPanel | null) {
      const owner = {
        currentWidget: panel,
        currentChanged: new Signal<object, NotebookPanel | null>({})
      };
      return owner as unknown as INotebookTracker & {
        currentChanged: Signal<object, NotebookPanel | null>;
      };
    }

    async function attach(panel: NotebookPanel | null) {
      const notebooks = tracker(panel);
      const onClick = jest.fn();
      const item = new KernelStatusItem({
        kernel: new CurrentKernel(notebooks),
        machine: model,
        trans,
        onClick
      });
      act(() => Widget.attach(item, document.body));
      await act(async () => MessageLoop.flush());
      await pass();
      await act(async () => MessageLoop.flush());
      return { item, notebooks, onClick };
    }

    it('shows where the kernel runs and its memory, and opens Compute', async () => {
      const { item, onClick } = await attach(notebook('k1'));
      const button = item.node.querySelector('button')!;
      expect(button.textContent).toBe('this machine · 1.0 GiB');
      expect(button.title).toContain('CPU 98 %');
      fireEvent.click(button);
      expect(onClick).toHaveBeenCalled();
      act(() => item.dispose());
      expect(FakeSocket.latest).toBeNull();
    });

    it('follows the notebook, and reads nothing without a kernel or while hidden', async () => {
      const { item, notebooks } = await attach(notebook(null));
      expect(FakeSocket.latest).toBeNull();
      act(() => notebooks.currentChanged.emit(notebook('k1')));
      expect(FakeSocket.latest).not.toBeNull();
      act(() => item.hide());
      expect(FakeSocket.latest).toBeNull();
      act(() => item.show());
      expect(FakeSocket.latest).not.toBeNull();
      act(() => notebooks.currentChanged.emit(null));
      expect(FakeSocket.latest).toBeNull();
      act(() => item.dispose());
    });
  });
});
