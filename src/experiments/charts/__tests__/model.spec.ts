import { Signal } from '@lumino/signaling';

import { CHANGED_SCHEMA, GenOpsEvents } from '../../../core';
import { fakeLive } from '../../../core/__tests__/fake-socket';
import { FakeTable, trans } from '../../table/__tests__/support';
import { ViewCharts } from '../../table/model';
import type { IView } from '../../table/view-state';
import { FIRST_VIEW } from '../../table/view-state';
import { RunSelection } from '../../table/selection';
import { BoardStore } from '../history-cache';
import { ChartsModel } from '../model';
import type { IHistoriesQuery } from '../service';
import type { ITable } from '../model';

/** The view of a table, as the charts use it. */
class FakeView {
  view: IView = FIRST_VIEW;
  readonly changed = new Signal<this, void>(this);
  readonly selection = new RunSelection(async () => []);
  readonly windows = { snapshot: { rows: { length: 3 } } };
  readonly charts = new ViewCharts();
  setView(part: Partial<IView>): void {
    this.view = { ...this.view, ...part };
    this.changed.emit();
  }
  open = jest.fn();
}

describe('ChartsModel', () => {
  let server: FakeTable;
  let view: FakeView;
  let asked: IHistoriesQuery[];
  let model: ChartsModel;
  let answers: (query: IHistoriesQuery) => unknown[];

  beforeEach(async () => {
    jest.useFakeTimers();
    server = new FakeTable(3);
    view = new FakeView();
    asked = [];
    answers = query =>
      query.run_ids.map(run_id => ({ run_id, mark: '1:1:1', points: 0 }));
    model = new ChartsModel({
      table: view as unknown as ITable,
      runs: server.service,
      service: {
        histories: jest.fn(async query => {
          asked.push(query);
          return { key: query.key, histories: answers(query) } as never;
        }),
        importance: jest.fn(
          async () =>
            ({
              metric: 'loss',
              runs: 0,
              parameters: [],
              constant: [],
              unique: []
            }) as never
        )
      },
      store: new BoardStore(null),
      events: new GenOpsEvents({ stream: server.stream } as never),
      live: fakeLive(),
      trans
    });
    await pass();
  });

  afterEach(() => {
    model.dispose();
    jest.useRealTimers();
  });

  const pass = (ms = 0) => jest.advanceTimersByTimeAsync(ms);
  const changed = () =>
    server.stream.emit({
      schema_id: CHANGED_SCHEMA,
      kind: 'run',
      id: '',
      revision: Date.now()
    } as never);

  it('asks for nothing before it is seen, nor after', async () => {
    changed();
    await pass(5000);
    expect(asked).toEqual([]);
    model.visible = true;
    await pass(2000);
    const before = asked.length;
    expect(before).toBeGreaterThan(0);
    model.visible = false;
    changed();
    await pass(5000);
    expect(asked.length).toBe(before);
  });

  it('follows by marks, and asks for all of it after a zoom', async () => {
    model.visible = true;
    await pass(2000);
    asked = [];
    changed();
    await pass(3000);
    expect(asked.length).toBeGreaterThan(0);
    expect(Object.values(asked[0].marks ?? {})).toContain('1:1:1');
    asked = [];
    model.setZoom([1, 2]);
    await pass(10);
    expect(asked[0]).toMatchObject({ first: 1, last: 2, marks: {} });
    model.setBoard({ x: 'time' });
    await pass(10);
    expect(model.zoom).toBeNull();
  });

  it('asks for the histories of a new card alone, as long as no run changes', async () => {
    model.visible = true;
    await pass(2000);
    const shown = asked.map(({ key }) => key);
    asked = [];
    model.setCard({ kind: 'curves', id: 'new', metric: 'new' });
    await pass(10);
    expect(asked.map(({ key }) => key)).toEqual(['new']);
    asked = [];
    changed();
    await pass(3000);
    expect(asked.map(({ key }) => key)).toEqual([...new Set(shown), 'new']);
    asked = [];
    model.visible = false;
    model.setCard({ kind: 'curves', id: 'newer', metric: 'newer' });
    model.visible = true;
    await pass(3000);
    // What nothing is seen of yet does not wait behind the others.
    expect(asked[0].key).toBe('newer');
    expect(new Set(asked.map(({ key }) => key))).toContain('new');
  });

  it('has curves of the selected runs, and of the first ones again', async () => {
    model.visible = true;
    await pass(2000);
    const all = model.curveRuns.ids;
    expect(all.length).toBe(3);
    view.selection.toggle('run1', 1);
    model.setBoard({ selectedOnly: true });
    await pass(10);
    expect(model.curveRuns.ids).toEqual(['run1']);
    model.setBoard({ selectedOnly: false });
    await pass(10);
    expect(model.curveRuns.ids).toEqual(all);
    const requests = server.calls.length;
    model.setBoard({ smoothing: { kind: 'ema', amount: 0.9 } });
    await pass(10);
    expect(server.calls.length).toBe(requests);
    expect(asked[asked.length - 1].smoothing).toEqual({
      kind: 'ema',
      amount: 0.9
    });
  });

  it('narrows the table, and forgets what the query no longer holds', async () => {
    model.visible = true;
    await pass(2000);
    model.narrow([{ column: 'metrics.loss', low: 0, high: 1 }]);
    model.narrow([{ column: 'metrics.loss', low: 0.5, high: 1 }]);
    expect(view.view.query).toBe('metrics.loss BETWEEN 0.5 AND 1');
    expect(model.conditions).toEqual(['metrics.loss BETWEEN 0.5 AND 1']);
    view.setView({ query: 'adam' });
    expect(model.conditions).toEqual([]);
    model.narrow([{ column: 'metrics.loss', low: 0, high: 2 }]);
    model.widen(model.conditions[0]);
    expect(view.view.query).toBe('adam');
  });

  it('is kept by a named view, and is as the chosen view has it', async () => {
    model.visible = true;
    await pass(2000);
    model.setCard({ kind: 'curves', id: 'mine', metric: 'mine' });
    const kept = view.charts.now!;
    model.removeCard('mine');
    model.setBoard({ x: 'time' });
    expect(model.cards.map(({ id }) => id)).not.toContain('mine');
    view.charts.choose(kept);
    expect(model.cards.map(({ id }) => id)).toContain('mine');
    expect(model.board.x).toBe('step');
    view.charts.choose(null);
    expect(model.cards.map(({ id }) => id)).toContain('mine');
    model.dispose();
    expect(view.charts.now).toBeNull();
  });

  it('says what is down and tries again', async () => {
    const before = answers;
    answers = () => {
      throw new TypeError('Failed to fetch');
    };
    model.visible = true;
    await pass(2000);
    expect(model.error).not.toBeNull();
    answers = before;
    changed();
    await pass(5000);
    expect(model.error).toBeNull();
    expect(model.isLoaded).toBe(true);
  });
});
