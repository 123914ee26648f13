import { ApiError } from '../../../core';
import type { IQuestion } from '../service';
import { valueOf } from '../rows';
import { RunWindows } from '../windows';

import { FakeTable, settled, trans } from './support';

const QUESTION: IQuestion = {
  experiments: [],
  query: '',
  sort: [],
  lifecycle: 'active',
  columns: ['run_name']
};

function open(table: FakeTable): RunWindows {
  const windows = new RunWindows({ fetch: table.service.window, trans });
  windows.visible = true;
  return windows;
}

function asked(table: FakeTable): string[] {
  return table.calls.splice(0).map(({ offset, limit }) => `${offset}+${limit}`);
}

describe('the windows of the run table', () => {
  it('fetches the windows that are seen, and no others', async () => {
    const table = new FakeTable(100_000);
    const windows = open(table);
    windows.ask(QUESTION);
    await settled();
    expect(asked(table)).toEqual(['0+100']);
    expect(windows.snapshot.rows).toHaveLength(100_000);
    expect(windows.snapshot.rows[99].id).toBe('run99');
    expect(windows.snapshot.rows[100].id).toBeNull();

    windows.want(99_950, 99_999);
    await settled();
    expect(asked(table)).toEqual(['99900+100']);
    expect(windows.snapshot.rows[99_999].id).toBe('run99999');
    windows.want(99_960, 99_990);
    await settled();
    expect(asked(table)).toEqual([]);
  });

  it('asks for all that is missing in one request', async () => {
    const table = new FakeTable(1000);
    const windows = open(table);
    windows.ask(QUESTION);
    await settled();
    asked(table);
    windows.want(150, 420);
    await settled();
    expect(asked(table)).toEqual(['100+400']);
  });

  it('drops the answer to a question that is no longer asked', async () => {
    const table = new FakeTable(50);
    const windows = open(table);
    windows.ask(QUESTION);
    await settled();
    table.held = true;
    windows.ask({ ...QUESTION, query: '1' });
    windows.ask({ ...QUESTION, query: '49' });
    const [, first, second] = table.calls;
    expect(first.signal?.aborted).toBe(true);
    expect(windows.snapshot.switching).toBe(true);
    expect(windows.snapshot.rows).toHaveLength(50);

    second.answer();
    await settled();
    first.answer();
    await settled();
    expect(windows.snapshot.rows.map(({ id }) => id)).toEqual(['run49']);
    expect(windows.snapshot.total).toBe(50);
    expect(windows.snapshot.switching).toBe(false);
  });

  it('lets go of windows that were scrolled past before they came', async () => {
    const table = new FakeTable(10_000);
    const windows = open(table);
    windows.ask(QUESTION);
    await settled();
    table.held = true;
    windows.want(2000, 2050);
    windows.want(8000, 8050);
    const [, passed, seen] = table.calls;
    expect(passed.signal?.aborted).toBe(true);
    passed.answer();
    seen.answer();
    await settled();
    expect(windows.snapshot.rows[2000].id).toBeNull();
    expect(windows.snapshot.rows[8000].id).toBe('run8000');
  });

  it('keeps the rows while a change is fetched, and forgets those out of sight', async () => {
    const table = new FakeTable(1000);
    const windows = open(table);
    windows.ask(QUESTION);
    await settled();
    windows.want(500, 520);
    await settled();
    asked(table);

    table.held = true;
    table.runs[510].run_name = 'renamed';
    windows.refresh();
    expect(valueOf(windows.snapshot.rows[510], 'run_name')).toBe('name 510');
    expect(windows.snapshot.switching).toBe(false);
    table.calls[0].answer();
    await settled();
    expect(valueOf(windows.snapshot.rows[510], 'run_name')).toBe('renamed');
    expect(windows.snapshot.rows[0].id).toBeNull();
    expect(asked(table)).toEqual(['500+100']);
  });

  it('fetches once more what changed while it was fetched', async () => {
    const table = new FakeTable(10);
    const windows = open(table);
    table.held = true;
    windows.ask(QUESTION);
    windows.refresh();
    windows.refresh();
    table.calls[0].answer();
    await settled();
    table.calls[1].answer();
    await settled();
    expect(asked(table)).toEqual(['0+100', '0+100']);
  });

  it('keeps the rows when only a column is added, which is not known yet', async () => {
    const table = new FakeTable(10);
    const windows = open(table);
    windows.ask(QUESTION);
    await settled();
    table.held = true;
    windows.ask({ ...QUESTION, columns: ['run_name', 'metrics.loss'] });
    const [row] = windows.snapshot.rows;
    expect(windows.snapshot.switching).toBe(false);
    expect(valueOf(row, 'run_name')).toBe('name 0');
    expect(valueOf(row, 'metrics.loss')).toBeUndefined();
    table.calls[1].answer();
    await settled();
    expect(valueOf(windows.snapshot.rows[1], 'metrics.loss')).toBe(0.1);
  });

  it('says what is wrong with a question, and answers its correction', async () => {
    const table = new FakeTable(10);
    const windows = open(table);
    windows.ask(QUESTION);
    await settled();
    table.held = true;
    windows.ask({ ...QUESTION, query: 'metrics.' });
    table.calls[1].fail(
      new ApiError({
        status: 400,
        code: 'query',
        message: 'A name is missing.'
      })
    );
    await settled();
    expect(windows.snapshot.error?.message).toBe('A name is missing.');
    expect(windows.snapshot.rows).toHaveLength(10);
    expect(table.calls).toHaveLength(2);

    windows.ask({ ...QUESTION, query: 'name 3' });
    expect(windows.snapshot.error?.message).toBe('A name is missing.');
    table.calls[2].answer();
    await settled();
    expect(windows.snapshot.error).toBeNull();
    expect(windows.snapshot.rows.map(({ id }) => id)).toEqual(['run3']);
  });

  it('tries again when the server was away, and not while nobody looks', async () => {
    jest.useFakeTimers();
    try {
      const table = new FakeTable(10);
      const windows = open(table);
      table.held = true;
      windows.ask(QUESTION);
      const down = () =>
        new ApiError({ status: 0, code: 'network', message: 'No answer.' });
      table.calls[0].fail(down());
      await settled();
      windows.visible = false;
      jest.advanceTimersByTime(60_000);
      expect(table.calls).toHaveLength(1);
      windows.visible = true;
      expect(table.calls).toHaveLength(2);
      table.calls[1].fail(down());
      await settled();
      jest.advanceTimersByTime(60_000);
      expect(table.calls).toHaveLength(3);
      table.calls[2].answer();
      await settled();
      expect(windows.snapshot.error).toBeNull();
      expect(windows.snapshot.rows).toHaveLength(10);
    } finally {
      jest.useRealTimers();
    }
  });

  it('forgets the windows of a long way', async () => {
    const table = new FakeTable(100_000);
    const windows = open(table);
    windows.ask(QUESTION);
    for (let index = 0; index < 20_000; index += 100) {
      windows.want(index, index + 50);
      await settled();
    }
    const held = windows.snapshot.rows.filter(({ id }) => id !== null);
    expect(held.length).toBeLessThanOrEqual(6200);
    expect(windows.snapshot.rows[19_900].id).toBe('run19900');
  });
});
