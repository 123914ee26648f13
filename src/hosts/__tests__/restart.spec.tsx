import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { Cell } from '@jupyterlab/cells';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { NotebookActions } from '@jupyterlab/notebook';
import { act, fireEvent, within } from '@testing-library/react';

import { MachineModel } from '../../kernels/model';
import { Bench, settle } from '../../tasks/__tests__/support';
import { TargetsModel } from '../model';
import { QuestionsModel } from '../questions';
import { restartEnded } from '../restart';

import { target } from './support';

const WHY = 'The pod was preempted.';

interface ISaved {
  source: string;
  count?: number;
  running?: boolean;
  failed?: boolean;
  type?: string;
  metadata?: Record<string, unknown>;
}

function cell(id: string, saved: ISaved): Cell {
  return {
    model: {
      id,
      type: saved.type ?? 'code',
      executionCount: saved.count ?? null,
      executionState: saved.running ? 'running' : 'idle',
      getMetadata: (key: string) => saved.metadata?.[key],
      sharedModel: {
        getSource: () => saved.source,
        getOutputs: () => (saved.failed ? [{ output_type: 'error' }] : [])
      }
    }
  } as unknown as Cell;
}

describe('the restart of a kernel that has ended', () => {
  const cells = {
    text: cell('text', { source: 'Words', type: 'markdown', count: 1 }),
    train: cell('train', { source: 'train()', running: true }),
    load: cell('load', {
      source: '\n  rows = load()\nrows',
      count: 2,
      metadata: {
        execution: {
          'iopub.execute_input': '2026-11-30T10:00:00Z',
          'shell.execute_reply': '2026-11-30T10:01:30Z'
        }
      }
    }),
    broken: cell('broken', { source: '1 / 0', count: 3, failed: true }),
    expected: cell('expected', {
      source: '1 / 0  # shown',
      count: 4,
      failed: true,
      metadata: { tags: ['raises-exception'] }
    }),
    imports: cell('imports', { source: 'import torch' }),
    never: cell('never', { source: 'later()' }),
    plot: cell('plot', { source: 'plot()' })
  };
  const done: unknown[] = [];
  const sessionContext = {
    ready: Promise.resolve(),
    path: 'work/train.ipynb',
    session: { kernel: { status: 'unknown', name: 'genops-gpu-box' } },
    restartKernel: jest.fn(async () => void done.push('restart')),
    changeKernel: jest.fn(async (to: object) => void done.push(to))
  };
  const panel = {
    content: { widgets: Object.values(cells) },
    context: { localPath: 'work/train.ipynb' },
    sessionContext
  } as unknown as NotebookPanel;
  let runCells: jest.SpyInstance;
  let bench: Bench;
  let model: TargetsModel;
  let machine: MachineModel;
  let questions: QuestionsModel;

  beforeEach(() => {
    done.length = 0;
    runCells = jest
      .spyOn(NotebookActions, 'runCells')
      .mockImplementation(async (_, run) => {
        done.push(run.map(each => each.model.id));
        return true;
      });
    bench = new Bench({
      'GET /targets': [target(), target({ name: 'spare' })],
      'GET /questions': []
    });
    model = new TargetsModel(bench.core);
    machine = new MachineModel({
      ...bench.core,
      fetch: () => Promise.reject(new Error('away'))
    });
    questions = new QuestionsModel(bench.core, model.service);
  });

  afterEach(() => {
    runCells.mockRestore();
    questions.dispose();
    machine.dispose();
    model.dispose();
    bench.dispose();
  });

  /** Show the dialog; resolves to its end. */
  async function shown(
    refused: Cell[] = []
  ): Promise<{ dialog: HTMLElement; end: Promise<void> }> {
    const app = {
      serviceManager: {
        kernelspecs: { refreshSpecs: async () => void done.push('specs') }
      }
    } as unknown as JupyterFrontEnd;
    const end = restartEnded(
      { app, core: bench.core, model, machine, questions },
      panel,
      { why: WHY, refused, before: new WeakMap([[cells.imports, 1]]) }
    );
    await act(() => settle());
    return { dialog: document.querySelector<HTMLElement>('.jp-Dialog')!, end };
  }

  const press = (dialog: HTMLElement, name: string | RegExp) =>
    act(async () => {
      fireEvent.click(
        within(dialog).getByRole('button', { name, hidden: true })
      );
      await settle();
    });

  const boxes = (dialog: HTMLElement) =>
    within(dialog)
      .getAllByRole<HTMLInputElement>('checkbox', { hidden: true })
      .map(({ parentElement, checked }) => [
        parentElement?.textContent,
        checked
      ]);

  it('lists the cells in the order in which they ran, and runs the ticked ones so', async () => {
    const { dialog, end } = await shown([cells.plot, cells.imports]);
    expect(dialog.getAttribute('aria-label')).toContain('train.ipynb');
    expect(dialog.textContent).toContain(WHY);
    expect(dialog.textContent).toContain('variables are lost');
    expect(dialog.textContent).toContain('gpu-box, as before');
    expect(boxes(dialog)).toEqual([
      ['import torchnot run', true],
      ['[2]rows = load()1 min 30 s', true],
      ['[3]1 / 0failed', false],
      ['[4]1 / 0  # shown', true],
      ['train()ran when the kernel ended', true],
      ['plot()not run', true]
    ]);
    await press(dialog, 'Restart and run 5 cells');
    await end;
    expect(done).toEqual([
      'restart',
      ['imports', 'load', 'expected', 'train', 'plot']
    ]);
    // As JupyterLab runs all cells: it drops those behind an error.
    expect(runCells).toHaveBeenCalledTimes(1);
  });

  it('runs all, some or none of them, elsewhere', async () => {
    bench.answers['POST /targets/spare/next-start'] = {};
    const { dialog, end } = await shown();
    await press(dialog, 'All');
    expect(boxes(dialog).map(([, checked]) => checked)).toEqual(
      Array(4).fill(true)
    );
    await press(dialog, 'None');
    expect(
      within(dialog).getByRole('button', { name: 'Restart', hidden: true })
    ).toBeTruthy();
    fireEvent.click(
      within(dialog).getByRole('checkbox', { name: /train/, hidden: true })
    );
    fireEvent.click(
      within(dialog).getByRole('radio', { name: /spare/, hidden: true })
    );
    await act(() => settle());
    expect(dialog.textContent).toContain('Where: spare');
    await press(dialog, 'Restart and run 1 cell');
    await end;
    expect(done).toEqual(['specs', { name: 'genops-spare' }, ['train']]);
  });

  it('runs nothing where the restart fails, or on Cancel', async () => {
    sessionContext.restartKernel.mockRejectedValueOnce(
      new Error('gpu1 is away.')
    );
    const failing = await shown();
    const told = expect(failing.end).rejects.toThrow('gpu1 is away.');
    await press(failing.dialog, /Restart and run/);
    await told;
    const cancelled = await shown();
    await press(cancelled.dialog, 'Cancel');
    await cancelled.end;
    expect(done).toEqual([]);
    expect(document.querySelector('.jp-Dialog')).toBeNull();
  });
});
