import { shareOf } from '../color-scales';
import type { RunTableModel } from '../model';
import { FIRST_VIEW } from '../view-state';
import { valueOf } from '../rows';

import { FakeTable, opened, settled } from './support';

describe('the run table', () => {
  const names = (model: RunTableModel) => model.shown.map(({ name }) => name);

  it('begins with the metrics of the user, then what differs, and ends with train/', async () => {
    const table = new FakeTable(10);
    table.runs.forEach(run => (run['metrics.train/learning_rate'] = 0.1));
    const model = await opened(table);
    expect(names(model)).toEqual([
      'run_name',
      'metrics.loss',
      'start_time',
      'duration',
      'params.lr',
      'metrics.train/learning_rate'
    ]);
    model.dispose();
  });

  it('shows the metrics of training first where there are no others', async () => {
    const table = new FakeTable(10);
    table.runs = table.runs.map(run => ({
      ...run,
      'metrics.loss': null,
      'metrics.train/loss': 1
    }));
    const model = await opened(table);
    expect(names(model)[1]).toBe('metrics.train/loss');
    model.dispose();
  });

  it('shows what the query names directly behind the name, until it asks for something else', async () => {
    const table = new FakeTable(30);
    const model = await opened(table);
    table.matches = () => true;
    model.setView({
      query:
        'params.`same` = \'metrics.loss\' AND param."lr" > 0 AND metrics.gone > 1'
    });
    expect(names(model)).toEqual([
      'run_name',
      'params.same',
      'params.lr',
      'metrics.loss',
      'start_time',
      'duration'
    ]);
    model.setView({ query: '' });
    expect(names(model).slice(1, 3)).toEqual(['metrics.loss', 'start_time']);
    model.dispose();
  });

  it('shows what it is sorted by, but leaves a head where it was clicked', async () => {
    const model = await opened(new FakeTable(30));
    const before = names(model);
    model.setView({ sort: [{ column: 'params.lr', descending: false }] });
    expect(names(model)).toEqual(before);
    model.setView({ sort: [{ column: 'params.same', descending: false }] });
    expect(names(model).slice(0, 2)).toEqual(['run_name', 'params.same']);
    model.dispose();
  });

  it('keeps the columns of few runs while the server does not answer', async () => {
    const table = new FakeTable(3);
    const model = await opened(table);
    const before = names(model);
    expect(before).toContain('metrics.loss');
    table.held = true;
    void model.columns.refresh();
    await settled();
    table.calls.forEach(call => call.fail(new Error('no answer')));
    await settled();
    expect(names(model)).toEqual(before);
    model.dispose();
  });

  it('keeps the order that a person made, whatever is asked', async () => {
    const model = await opened(new FakeTable(30));
    model.setColumns(all => [...all].reverse());
    const made = names(model);
    model.setView({ query: 'params.same = 1' });
    expect(names(model)).toEqual(made);
    model.dispose();
  });

  it('shows the runs that it looked at for its columns, and asks for them once', async () => {
    const table = new FakeTable(450);
    const model = await opened(table);
    expect(table.calls).toHaveLength(1);
    const { rows, matched } = model.windows.snapshot;
    expect([rows.length, matched]).toEqual([450, 450]);
    expect(valueOf(rows[199], 'metrics.loss')).toBe(19.9);
    expect(rows[200].id).toBeNull();
    model.windows.want(200, 230);
    await settled();
    expect(valueOf(model.windows.snapshot.rows[200], 'params.lr')).toBe('2');
    model.dispose();
  });

  it('chooses columns again for the first runs, also when more came while it chose', async () => {
    const table = new FakeTable(2);
    const all = await table.service.columns();
    const without = {
      ...all,
      columns: all.columns.filter(({ column }) => column !== 'metrics.loss')
    };
    table.service.columns = async () => without;
    const model = await opened(table);
    expect(model.shown.map(({ name }) => name)).not.toContain('metrics.loss');
    table.held = true;
    await model.columns.refresh();
    await settled();
    table.service.columns = async () => all;
    await model.columns.refresh();
    table.held = false;
    table.calls.forEach(call => call.answer());
    await settled();
    expect(model.shown.map(({ name }) => name)).toContain('metrics.loss');
    model.dispose();
  });

  it('is as it was left, query and columns and sort', async () => {
    const table = new FakeTable(30);
    const model = await opened(table);
    model.setColumns(all => [...all, { name: 'params.same', width: 200 }]);
    model.setView({
      query: 'name 2',
      sort: [{ column: 'metrics.loss', descending: true }]
    });
    await settled();
    model.dispose();
    await settled();

    const again = await opened(table);
    expect(again.view.query).toBe('name 2');
    expect(again.view.sort).toEqual([
      { column: 'metrics.loss', descending: true }
    ]);
    expect(again.shown[again.shown.length - 1]).toEqual({
      name: 'params.same',
      width: 200
    });
    expect(again.windows.snapshot.rows).toHaveLength(11);
    expect(again.queries).toEqual(['name 2']);
    again.dispose();
  });

  it('selects nothing among other runs, and keeps the selection in another order', async () => {
    const model = await opened(new FakeTable(30));
    model.selection.toggle('run3', 3);
    model.setView({ sort: [{ column: 'metrics.loss', descending: true }] });
    expect(model.selection.count(30)).toBe(1);
    model.setView({ query: 'name 2' });
    expect(model.selection.count(11)).toBe(0);
    model.dispose();
  });

  it('reads the selected runs as far as need be', async () => {
    const table = new FakeTable(2500);
    const model = await opened(table);
    model.selection.toggle('run3', 3);
    model.selection.toggle('run1200', 1200);
    table.calls = [];
    const { ids, frame } = await model.frame(['run_name', 'metrics.loss']);
    expect(ids).toEqual(['run3', 'run1200']);
    expect(frame.rows).toEqual([
      ['name 3', 0.3],
      ['name 1200', 120]
    ]);
    expect(table.calls).toHaveLength(2);

    model.selection.selectAll();
    model.selection.toggle('run7', 7);
    expect(await model.selected()).toHaveLength(2499);
    model.dispose();
  });

  it('fetches a change while it is seen, and what was missed when it is seen again', async () => {
    const table = new FakeTable(10);
    const model = await opened(table);
    table.runs[0].run_name = 'renamed';
    model.visible = false;
    table.calls = [];
    table.tell();
    await settled();
    expect(table.calls).toHaveLength(0);
    model.visible = true;
    await settled();
    expect(valueOf(model.windows.snapshot.rows[0], 'run_name')).toBe('renamed');
    table.runs[0].run_name = 'again';
    table.tell();
    await settled();
    expect(valueOf(model.windows.snapshot.rows[0], 'run_name')).toBe('again');
    model.dispose();
  });

  it('asks again as long as the server refreshes what it kept', async () => {
    const table = new FakeTable(3);
    table.refreshing = true;
    const model = await opened(table);
    const before = table.calls.length;
    await new Promise(resolve => setTimeout(resolve, 700));
    expect(table.calls.length).toBeGreaterThan(before);
    table.refreshing = false;
    await new Promise(resolve => setTimeout(resolve, 1200));
    const after = table.calls.length;
    await new Promise(resolve => setTimeout(resolve, 700));
    expect(table.calls).toHaveLength(after);
    model.dispose();
  });

  it('knows between which values a coloured column lies', async () => {
    const model = await opened(new FakeTable(11));
    model.setColumns(all =>
      all.map(each =>
        each.name === 'metrics.loss' ? { ...each, colored: true } : each
      )
    );
    await settled();
    expect(model.scales.get('metrics.loss')).toEqual({ low: 0, high: 1 });
    expect(shareOf(5, { low: 0, high: 10 })).toBe(0.5);
    expect(shareOf(3, { low: 3, high: 3 })).toBe(0.5);
    model.dispose();
  });

  it('starts afresh', async () => {
    const model = await opened(new FakeTable(10));
    model.setColumns(all => all.slice(0, 1));
    model.setView(FIRST_VIEW);
    await settled();
    expect(model.shown).toHaveLength(5);
    model.dispose();
  });
});
