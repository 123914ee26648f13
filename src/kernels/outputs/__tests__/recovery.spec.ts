import type { ICodeCellModel } from '@jupyterlab/cells';

import { Bench, trans } from '../../../tasks/__tests__/support';
import { NotebookRecovery } from '../recovery';
import type { IExecutions } from '../service';

import { iopub } from './messages';
import { FakeFuture, Page, account, execution } from './page';

const settle = () => new Promise(resolve => setTimeout(resolve, 0));
const print = (text: string, parent = 'run-1') =>
  iopub('stream', { name: 'stdout', text }, parent);
const idle = (parent = 'run-1') =>
  iopub('status', { execution_state: 'idle' }, parent);

describe('NotebookRecovery', () => {
  let page: Page;
  let bench: Bench;
  let answers: IExecutions[];
  let confirmed: string[];
  let asked: string[][];
  let recovery: NotebookRecovery;

  const open = async (...given: IExecutions[]) => {
    answers = given;
    recovery = new NotebookRecovery({
      panel: page.panel,
      contents: { get: () => Promise.resolve({ hash: 'hash-1' } as never) },
      events: bench.core.events,
      trans,
      service: {
        executions: (_kernel, waited) => {
          asked.push(waited);
          return answers.length > 1
            ? Promise.resolve(answers.shift()!)
            : answers.length
              ? Promise.resolve(answers[0])
              : Promise.reject(new Error('away'));
        },
        done: (_kernel, msgId) => {
          confirmed.push(msgId);
          return Promise.resolve();
        }
      }
    });
    await settle();
  };

  beforeEach(() => {
    // yjs warns of how the notebook's shared model is made: dozens of lines, none of ours.
    jest.spyOn(console, 'warn').mockImplementation();
    page = new Page({ a: 'work()', b: 'more()' });
    bench = new Bench({});
    confirmed = [];
    asked = [];
  });

  afterEach(() => {
    recovery.dispose();
    bench.dispose();
    jest.restoreAllMocks();
  });

  it('puts finished outputs in their cell, saves, and says that they are saved', async () => {
    await open(account([execution({ cell_id: 'a', execution_count: 7 }, 'x')]));
    expect(page.text('a')).toBe('x');
    expect(page.text('b')).toBe('');
    const [cell] = Array.from(page.model.cells);
    expect(cell.sharedModel.toJSON()).toMatchObject({ execution_count: 7 });
    expect(page.saves).toBe(1);
    expect(confirmed).toEqual(['run-1']);
  });

  it('leaves the saving to the person where there were unsaved changes', async () => {
    page.model.dirty = true;
    await open(account([execution({ cell_id: 'a' }, 'x')]));
    expect(page.saves).toBe(0);
    expect(confirmed).toEqual([]);
    page.context.saveState.emit('completed');
    expect(confirmed).toEqual(['run-1']);
  });

  it('follows what still runs, each message once, to its end', async () => {
    const seen = print('two ');
    const running = execution(
      { cell_id: 'a', state: 'running', message_ids: [seen.header.msg_id] },
      'one two '
    );
    const done = execution({ cell_id: 'a' }, 'one two three ');
    await open(account([running]), account([done]));
    page.kernel.iopubMessage.emit(seen);
    page.kernel.iopubMessage.emit(print('three '));
    page.kernel.iopubMessage.emit(print('not here', 'another'));
    expect(page.text('a')).toBe('one two three ');
    page.kernel.iopubMessage.emit(idle());
    await settle();
    expect(page.text('a')).toBe('one two three ');
    expect(confirmed).toEqual(['run-1']);
  });

  it('keeps what comes while the account is fetched', async () => {
    const early = print('early ');
    const opened = open(
      account([execution({ cell_id: 'a', state: 'running' }, 'first ')])
    );
    page.kernel.iopubMessage.emit(early);
    await opened;
    expect(page.text('a')).toBe('first early ');
  });

  it('leaves alone what this page runs itself', async () => {
    page.futures.set('a', new FakeFuture('run-1'));
    await open(account([execution({ cell_id: 'a', state: 'running' }, 'x')]));
    expect(page.text('a')).toBe('');
  });

  it('after a cut: takes the account, and the own future goes on without what it holds', async () => {
    const future = new FakeFuture('run-1');
    page.futures.set('a', future);
    const held = print('held');
    await open(
      account([]),
      account([
        execution(
          {
            cell_id: 'a',
            state: 'running',
            message_ids: [held.header.msg_id]
          },
          'all so far'
        )
      ])
    );
    page.kernel.become('connecting');
    page.kernel.become('connected');
    const [hook] = future.hooks;
    const verdicts = await Promise.all([hook(held), hook(print('new'))]);
    expect(verdicts).toEqual([false, true]);
    expect(page.text('a')).toBe('all so far');
    expect(future.isDisposed).toBe(false);
  });

  it('after a cut: ends a future whose execution is over', async () => {
    const future = new FakeFuture('run-1');
    page.futures.set('a', future);
    await open(account([]), account([execution({ cell_id: 'a' }, 'all')]));
    page.kernel.become('connecting');
    page.kernel.become('connected');
    await settle();
    expect(future.isDisposed).toBe(true);
    expect(page.text('a')).toBe('all');
  });

  it('after a cut: takes the end of a long output from the account', async () => {
    const future = new FakeFuture('run-1');
    page.futures.set('a', future);
    await open(
      account([]),
      account([
        execution({ cell_id: 'a', state: 'running', truncated: true }, 'head')
      ]),
      account([execution({ cell_id: 'a', truncated: true }, 'head and tail')])
    );
    page.kernel.become('connecting');
    page.kernel.become('connected');
    await settle();
    expect(page.text('a')).toBe('head');
    bench.change('output', 'kernel-1');
    await settle();
    expect(page.text('a')).toBe('head and tail');
  });

  it('after a cut: ends a future whose reply was lost with the connection', async () => {
    const future = new FakeFuture('run-1');
    page.futures.set('a', future);
    await open(
      account([]),
      account([execution({ cell_id: 'a', state: 'running' }, 'all')]),
      account([execution({ cell_id: 'a' }, 'all')])
    );
    page.kernel.become('connecting');
    page.kernel.become('connected');
    await settle();
    expect(future.isDisposed).toBe(false);
    bench.change('output', 'kernel-1');
    await settle();
    expect(future.isDisposed).toBe(true);
  });

  it('after a cut: takes what was written into the file meanwhile', async () => {
    const future = new FakeFuture('run-1');
    page.futures.set('a', future);
    await open(
      account([]),
      account([]),
      account([execution({ cell_id: 'a', documented: true }, 'all')])
    );
    page.kernel.become('connecting');
    page.kernel.become('connected');
    await settle();
    expect(future.isDisposed).toBe(false);
    bench.change('output', 'kernel-1');
    await settle();
    expect(asked).toEqual([[], ['run-1'], ['run-1']]);
    expect(future.isDisposed).toBe(true);
    expect(page.text('a')).toBe('all');
  });

  it('does not put what the file has already at the end', async () => {
    await open(
      account([
        execution({ cell_id: 'a', code: 'edited()', documented: true }, 'x')
      ])
    );
    expect(page.model.cells.length).toBe(2);
  });

  it('asks again when the account was not the last word', async () => {
    await open(
      account([], { recovering: true }),
      account([execution({ cell_id: 'a' }, 'late')])
    );
    expect(page.text('a')).toBe('');
    bench.change('output', 'another kernel');
    await settle();
    expect(page.text('a')).toBe('');
    bench.change('output', 'kernel-1');
    await settle();
    expect(page.text('a')).toBe('late');
  });

  it.each(['disconnected', 'connecting'] as const)(
    'asks again after the server was away, and reconnects a kernel that is %s',
    async status => {
      await open();
      answers = [account([execution({ cell_id: 'a' }, 'back')])];
      page.kernel.connectionStatus = status;
      bench.core.events.refresh();
      expect(page.kernel.reconnections).toBe(1);
      page.kernel.become('connected');
      await settle();
      expect(page.text('a')).toBe('back');
    }
  );

  it('takes the newest execution of a cell only', async () => {
    await open(
      account([
        execution({ cell_id: 'a', msg_id: 'old' }, 'old'),
        execution({ cell_id: 'a', msg_id: 'new' }, 'new')
      ])
    );
    expect(page.text('a')).toBe('new');
    expect(confirmed.sort()).toEqual(['new', 'old']);
  });

  it('sees to it that pages of one document do not put the same outputs there twice', async () => {
    jest.useFakeTimers();
    try {
      Object.defineProperty(page.model, 'collaborative', { value: true });
      const done = account([execution({ cell_id: 'a' }, 'all')]);
      void open(done, done, done);
      await jest.advanceTimersByTimeAsync(100);
      expect(page.text('a')).toBe('all');
      expect(confirmed).toEqual([]);
      const cell = Array.from(page.model.cells)[0] as ICodeCellModel;
      cell.outputs.add({
        output_type: 'display_data',
        data: { 'text/plain': 'again' },
        metadata: {}
      });
      await jest.advanceTimersByTimeAsync(5000);
      expect(page.text('a')).toBe('all');
      expect(confirmed).toEqual([]);
      await jest.advanceTimersByTimeAsync(20_000);
      expect(confirmed).toEqual(['run-1']);
      expect(page.saves).toBe(0); // the room saves
    } finally {
      jest.useRealTimers();
    }
  });

  it.each([
    ['puts right what two pages wrote at once', 7, ['all', 'again'], 'all'],
    ['leaves a later run alone', 8, ['all', 'again'], 'all|'],
    ['leaves outputs alone that a person cleared', 7, [], ''],
    ['leaves other outputs alone', 7, ['other'], ''],
    ['sets the count that an older document lacks', null, ['all'], 'all']
  ])('%s after another page confirmed it', async (_, count, there, text) => {
    jest.useFakeTimers();
    try {
      Object.defineProperty(page.model, 'collaborative', { value: true });
      const done = execution({ cell_id: 'a', execution_count: 7 }, 'all');
      void open(account([done]), account([]));
      await jest.advanceTimersByTimeAsync(6500); // it was found right before the other page's writing came
      const cell = Array.from(page.model.cells)[0] as ICodeCellModel;
      const [own] = cell.outputs.toJSON();
      cell.executionCount = count;
      cell.outputs.fromJSON(
        there.map(each =>
          each === 'all'
            ? own
            : {
                output_type: 'display_data',
                data: { 'text/plain': each },
                metadata: {}
              }
        )
      );
      await jest.advanceTimersByTimeAsync(30_000);
      expect(page.text('a')).toBe(text);
      expect(cell.executionCount).toBe(count ?? 7);
      const looks = asked.length;
      await jest.advanceTimersByTimeAsync(30_000);
      expect(asked.length).toBe(looks);
    } finally {
      jest.useRealTimers();
    }
  });

  it('writes what another page runs only when nobody else does', async () => {
    jest.useFakeTimers();
    try {
      Object.defineProperty(page.model, 'collaborative', { value: true });
      const running = (text: string) =>
        account([execution({ cell_id: 'a', state: 'running' }, text)]);
      void open(running('1'), running('12'), running('123'));
      await jest.advanceTimersByTimeAsync(100);
      expect(page.text('a')).toBe('');
      await jest.advanceTimersByTimeAsync(20_000);
      expect(page.text('a')).toBe('123');
      page.kernel.iopubMessage.emit(print('4'));
      expect(page.text('a')).toBe('123');
    } finally {
      jest.useRealTimers();
    }
  });

  it('ends what another page ran when the account has it no longer', async () => {
    jest.useFakeTimers();
    try {
      Object.defineProperty(page.model, 'collaborative', { value: true });
      void open(
        account([execution({ cell_id: 'a', state: 'running' }, '1')]),
        account([])
      );
      await jest.advanceTimersByTimeAsync(100);
      const cell = Array.from(page.model.cells)[0] as ICodeCellModel;
      expect(cell.executionState).toBe('running');
      await jest.advanceTimersByTimeAsync(10_000);
      expect(cell.executionState).toBe('idle');
    } finally {
      jest.useRealTimers();
    }
  });

  it('leaves alone what another page runs again meanwhile', async () => {
    jest.useFakeTimers();
    try {
      Object.defineProperty(page.model, 'collaborative', { value: true });
      void open(account([execution({ cell_id: 'a' }, 'all')]));
      await jest.advanceTimersByTimeAsync(100);
      const cell = Array.from(page.model.cells)[0] as ICodeCellModel;
      cell.outputs.clear();
      cell.executionState = 'running';
      await jest.advanceTimersByTimeAsync(4000);
      expect(page.text('a')).toBe('');
    } finally {
      jest.useRealTimers();
    }
  });

  it('keeps outputs of edited and deleted cells at the end, once', async () => {
    const given = account([
      execution({ cell_id: 'a', code: 'before()', msg_id: '1' }, 'edited'),
      execution({ cell_id: 'gone', msg_id: '2' }, 'deleted')
    ]);
    await open(given);
    page.kernel.become('connecting');
    page.kernel.become('connected');
    await settle();
    const cells = page.model.sharedModel.cells.map(cell => cell.toJSON());
    expect(cells.map(cell => cell.cell_type)).toEqual([
      'code',
      'code',
      'markdown',
      'code',
      'code'
    ]);
    expect(cells[3]).toMatchObject({ source: 'before()' });
    expect(cells[4].outputs).toMatchObject([{ text: 'deleted' }]);
    expect(page.text('a')).toBe('');
  });
});
