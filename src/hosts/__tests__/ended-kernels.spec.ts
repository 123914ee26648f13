import { Notification } from '@jupyterlab/apputils';
import type { Cell } from '@jupyterlab/cells';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { KernelError, NotebookActions } from '@jupyterlab/notebook';
import type { Signal } from '@lumino/signaling';

import { settle, trans } from '../../tasks/__tests__/support';
import { EndedKernels } from '../ended-kernels';

const WHY = 'The kernel has ended. The host was restarted.';

describe('cells that are run in a kernel that has ended', () => {
  const restartKernel = jest.fn(async () => undefined);
  const panel = {
    content: {},
    context: { localPath: 'work/train.ipynb' },
    sessionContext: {
      restartKernel,
      session: { kernel: { status: 'unknown', name: 'genops-gpu1' } }
    }
  } as unknown as NotebookPanel;
  const cells = ['a', 'b', 'c'].map(
    id => ({ id, isDisposed: id === 'c' }) as unknown as Cell
  );
  let runCells: jest.SpyInstance;
  let ended: EndedKernels;

  beforeEach(() => {
    restartKernel.mockClear();
    runCells = jest
      .spyOn(NotebookActions, 'runCells')
      .mockImplementation(async () => true);
    ended = new EndedKernels({
      notebooks: { find: of => (of(panel) ? panel : undefined) },
      trans
    });
  });

  afterEach(() => {
    ended.dispose();
    Notification.dismiss();
    runCells.mockRestore();
  });

  function executed(cell: Cell, ename = 'KernelEnded'): void {
    const { content: notebook } = panel;
    const error = new KernelError({
      status: 'error',
      execution_count: null,
      ename,
      evalue: WHY,
      traceback: []
    });
    (NotebookActions.executed as Signal<unknown, unknown>).emit({
      notebook,
      cell,
      success: false,
      error
    });
  }

  const dialogs = () =>
    Array.from(document.querySelectorAll<HTMLElement>('.jp-Dialog'));

  async function press(label: string): Promise<void> {
    const found = Array.from(dialogs()[0].querySelectorAll('button')).find(
      ({ textContent }) => textContent === label
    );
    found!.click();
    await settle();
  }

  it('are asked about once, and run again together', async () => {
    cells.forEach(cell => executed(cell));
    await settle();
    expect(dialogs()).toHaveLength(1);
    expect(dialogs()[0].textContent).toContain('train.ipynb');
    expect(dialogs()[0].textContent).toContain('The host was restarted.');
    expect(restartKernel).not.toHaveBeenCalled();
    await press('Restart and run');
    expect(restartKernel).toHaveBeenCalledTimes(1);
    expect(runCells).toHaveBeenCalledWith(
      panel.content,
      cells.slice(0, 2),
      panel.sessionContext
    );
    executed(cells[0]);
    await settle();
    expect(dialogs()).toHaveLength(1);
    await press('Cancel');
  });

  it('are not run unasked', async () => {
    executed(cells[0]);
    await settle();
    await press('Restart');
    expect(restartKernel).toHaveBeenCalledTimes(1);
    executed(cells[0]);
    await settle();
    await press('Cancel');
    expect(restartKernel).toHaveBeenCalledTimes(1);
    expect(runCells).not.toHaveBeenCalled();
  });

  it('stay as they are where the restart fails, with word of it', async () => {
    restartKernel.mockRejectedValueOnce(new Error('gpu1 is away.'));
    executed(cells[0]);
    await settle();
    await press('Restart and run');
    expect(runCells).not.toHaveBeenCalled();
    expect(
      Notification.manager.notifications.map(({ message }) => message)
    ).toEqual(['gpu1 is away.']);
  });

  it('are left alone where their own code failed', async () => {
    executed(cells[0], 'ValueError');
    await settle();
    expect(dialogs()).toHaveLength(0);
  });
});
