import type { Cell } from '@jupyterlab/cells';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { KernelError, NotebookActions } from '@jupyterlab/notebook';
import type { Signal } from '@lumino/signaling';

import { settle } from '../../tasks/__tests__/support';
import type { IEnd } from '../ended-kernels';
import { EndedKernels } from '../ended-kernels';

const WHY = 'The kernel has ended. The host was restarted.';

describe('cells that are run in a kernel that has ended', () => {
  const panel = { content: {} } as unknown as NotebookPanel;
  const asked: IEnd[] = [];
  let answer: () => void;
  let ended: EndedKernels;

  function cell(executionCount: number | null, executionState = 'idle'): Cell {
    return { model: { executionCount, executionState } } as unknown as Cell;
  }

  beforeEach(() => {
    asked.length = 0;
    ended = new EndedKernels({
      notebooks: { find: of => (of(panel) ? panel : undefined) },
      restart: (_, end) => {
        asked.push(end);
        return new Promise(resolve => (answer = resolve));
      }
    });
  });

  afterEach(() => ended.dispose());

  /** JupyterLab runs a cell, which is answered so. */
  function run(each: Cell, ename = 'KernelEnded'): void {
    const { content: notebook } = panel;
    const { executed, executionScheduled } = NotebookActions;
    const emit = (signal: unknown, args: object) =>
      (signal as Signal<unknown, unknown>).emit({ notebook, ...args });
    emit(executionScheduled, { cell: each });
    const error = new KernelError({
      status: 'error',
      execution_count: null,
      ename,
      evalue: WHY,
      traceback: []
    });
    emit(executed, { cell: each, success: false, error });
  }

  it('are asked about once, with their places among those that ran', async () => {
    const cells = [cell(7), cell(null, 'running'), cell(null)];
    cells.forEach(each => run(each));
    expect(asked).toHaveLength(1);
    const [{ why, refused, before }] = asked;
    expect(why).toBe(WHY);
    expect(refused).toEqual(cells);
    expect(cells.map(each => before.get(each))).toEqual([
      7,
      Infinity,
      undefined
    ]);
    ended.offer(panel, WHY);
    expect(asked).toHaveLength(1);
    answer();
    await settle();
    ended.offer(panel, WHY);
    expect(asked[1].refused).toEqual([]);
  });

  it('are left alone where their own code failed', () => {
    run(cell(1), 'ValueError');
    expect(asked).toEqual([]);
  });
});
