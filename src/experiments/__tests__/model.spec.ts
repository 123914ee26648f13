import { ApiError } from '../../core';
import { FakeSocket } from '../../core/__tests__/fake-socket';
import type { ExperimentsModel } from '../model';

import { FakeServer, makeRun, makeSeries } from './support';

describe('the experiments room', () => {
  let server: FakeServer;
  let model: ExperimentsModel;

  beforeEach(() => {
    jest.useFakeTimers();
    server = new FakeServer();
    server.runs = Array.from({ length: 120 }, (_, index) =>
      makeRun(120 - index)
    );
    model = server.model();
  });

  afterEach(() => {
    model.dispose();
    jest.useRealTimers();
  });

  const pass = (ms = 0) => jest.advanceTimersByTimeAsync(ms);
  const ids = () => model.list.snapshot.runs.map(run => run.run_id);

  async function show(): Promise<void> {
    model.visible = true;
    await pass();
    server.takeCalls();
  }

  it('asks for nothing while hidden, changes or not', async () => {
    server.tell('run', 'run0120');
    await pass(60000);
    expect(server.calls).toEqual([]);
    model.visible = true;
    await pass();
    expect(server.takeCalls()).toEqual(['experiments', 'runs ||']);
    model.visible = false;
    server.tell('run', 'run0120');
    server.tell('run', 'new');
    await pass(60000);
    expect(server.calls).toEqual([]);
  });

  it('shows pages one after the other, each run once', async () => {
    await show();
    expect(ids()).toHaveLength(50);
    expect(model.list.snapshot.hasMore).toBe(true);
    server.runs = [makeRun(121), ...server.runs];
    await model.list.showMore();
    expect(ids()).toHaveLength(99);
    expect(new Set(ids()).size).toBe(99);
    await model.list.showMore();
    expect(model.list.snapshot.hasMore).toBe(false);
    await model.list.showMore();
    expect(server.takeCalls()).toEqual(['runs ||50', 'runs ||100']);
  });

  it('keeps what was shown below when a new run comes', async () => {
    await show();
    await model.list.showMore();
    server.runs = [makeRun(121, { status: 'RUNNING' }), ...server.runs];
    server.tell('run', 'run0121');
    await pass(1000);
    expect(ids()[0]).toBe('run0121');
    expect(ids()).toHaveLength(101);
    expect(new Set(ids()).size).toBe(101);
  });

  it('drops a run that was deleted from the first page', async () => {
    await show();
    server.runs = server.runs.filter(run => run.run_id !== 'run0118');
    server.tell('run');
    await pass(1000);
    expect(ids()).not.toContain('run0118');
  });

  it('fetches a known run alone, at most twice a second', async () => {
    await show();
    for (let index = 0; index < 40; index++) {
      server.tell('run', 'run0120');
      await pass(25);
    }
    server.runs[0] = makeRun(120, { metrics: { loss: 0.125 } });
    server.tell('run', 'run0120');
    await pass(1000);
    const calls = server.takeCalls();
    expect(new Set(calls)).toEqual(new Set(['run run0120']));
    expect(calls.length).toBeLessThanOrEqual(5);
    expect(model.run('run0120')?.metrics.loss).toBe(0.125);
  });

  it('asks for the page at once when no run is named, and then every two seconds', async () => {
    await show();
    for (let index = 0; index < 35; index++) {
      server.tell('run');
      await pass(100);
      if (index === 0) {
        expect(server.takeCalls()).toEqual(['runs ||']);
      }
    }
    expect(server.takeCalls()).toEqual(['runs ||']);
    await pass(2000);
    expect(server.takeCalls()).toEqual(['runs ||']);
  });

  it('asks for the page when many runs changed at once', async () => {
    await show();
    for (let index = 100; index < 120; index++) {
      server.tell('run', `run0${index}`);
    }
    await pass(2000);
    const calls = server.takeCalls();
    expect(calls.filter(call => call === 'runs ||')).toHaveLength(1);
    expect(calls.length).toBeLessThanOrEqual(2);
  });

  it('asks for the page when a filter may match other runs now', async () => {
    await show();
    await model.list.setQuery({ experiment: '1', filter: 'metrics.loss < 1' });
    server.tell('run', 'run0120');
    await pass(1000);
    expect(server.takeCalls()).toEqual([
      'runs 1|metrics.loss < 1|',
      'runs 1|metrics.loss < 1|'
    ]);
  });

  it('never shows the answer to the query before', async () => {
    await show();
    server.tell('run');
    await pass();
    const switching = model.list.setQuery({ experiment: '1', filter: '' });
    expect(model.list.snapshot.isSwitching).toBe(true);
    server.runs = [makeRun(7)];
    await switching;
    await pass(1000);
    expect(ids()).toEqual(['run0007']);
    expect(model.list.snapshot.isSwitching).toBe(false);
  });

  it('keeps the runs and says why when "Show more" fails', async () => {
    await show();
    server.failure = new ApiError({
      status: 503,
      code: 'unavailable',
      message: 'MLflow does not answer.'
    });
    await model.list.showMore();
    expect(model.list.snapshot.moreError?.message).toBe(
      'MLflow does not answer.'
    );
    expect(ids()).toHaveLength(50);
    server.failure = null;
    await model.list.showMore();
    expect(model.list.snapshot.moreError).toBeUndefined();
    expect(ids()).toHaveLength(100);
  });

  describe('curves', () => {
    const running = makeRun(120, { status: 'RUNNING', ended_at: null });

    beforeEach(() => {
      server.runs[0] = running;
      server.histories = [
        makeSeries('loss', [0, 1, 2]),
        makeSeries('system/cpu', [0])
      ];
    });

    it('come whole once, then live, then what is missing', async () => {
      await show();
      const { curves, release } = model.holdCurves(running);
      await pass(200);
      expect(server.takeCalls()).toEqual(['metrics run0120 -1']);
      expect(curves.curves.series[0].steps).toEqual([0, 1, 2]);
      expect(curves.curves.system[0].key).toBe('system/cpu');
      expect(FakeSocket.latest?.topics).toContain('run:run0120');
      FakeSocket.latest?.tell('run:run0120', {
        run_id: 'run0120',
        points: [{ key: 'loss', step: 3, timestamp: 5003, value: 3 }]
      });
      await pass(200);
      expect(curves.curves.series[0].steps).toEqual([0, 1, 2, 3]);
      server.histories[0] = makeSeries('loss', [0, 1, 2, 3, 4]);
      server.tell('run', 'run0120');
      await pass(1500);
      expect(server.takeCalls()).toContain('metrics run0120 2');
      expect(curves.curves.series[0].steps).toEqual([0, 1, 2, 3, 4]);
      release.dispose();
      expect(FakeSocket.latest).toBeNull();
    });

    it('are fetched whole once more when the run ends, and rest then', async () => {
      await show();
      const { curves } = model.holdCurves(running);
      await pass(200);
      server.takeCalls();
      server.runs[0] = makeRun(120);
      server.tell('run', 'run0120');
      await pass(3000);
      expect(curves.ended).toBe(true);
      expect(server.takeCalls()).toContain('metrics run0120 -1');
      expect(FakeSocket.latest).toBeNull();
      server.tell('run', '');
      await pass(3000);
      expect(server.takeCalls().join()).not.toContain('metrics');
    });

    it('are shared, and rest while the section is hidden', async () => {
      await show();
      const one = model.holdCurves(running);
      const two = model.holdCurves(running);
      expect(two.curves).toBe(one.curves);
      await pass(200);
      model.visible = false;
      expect(FakeSocket.latest).toBeNull();
      server.takeCalls();
      server.tell('run', 'run0120');
      await pass(5000);
      expect(server.calls).toEqual([]);
      model.visible = true;
      await pass(1500);
      expect(server.takeCalls().some(call => call.startsWith('metrics'))).toBe(
        true
      );
      one.release.dispose();
      expect(two.curves.isDisposed).toBe(false);
      two.release.dispose();
      expect(two.curves.isDisposed).toBe(true);
    });
  });
});
