import { CLOSED, GroupFolds, asFolding, asGrouping } from '../groups';
import { asView } from '../view-state';
import type { RunTableModel } from '../model';

import { FakeTable, opened, settled } from './support';

/** Rows as a reader sees them: heads with their number of runs, runs by their ids. */
function seen(model: RunTableModel): (string | null)[] {
  return model.windows.snapshot.rows.map(({ id, group }) =>
    group ? `${group.path.join('/')} (${group.runs})` : id
  );
}

async function grouped(table: FakeTable): Promise<RunTableModel> {
  const model = await opened(table);
  model.setView({ groups: ['params.lr'] });
  await settled();
  return model;
}

describe('runs in groups', () => {
  it('are heads that open and close, while the rest stays', async () => {
    const model = await grouped(new FakeTable(7));
    expect(seen(model)).toEqual(['0 (3)', '1 (2)', '2 (2)']);
    expect(model.windows.snapshot).toMatchObject({ matched: 7, groups: 3 });
    model.folds.turn(['1']);
    // Until the answer comes nothing is gone.
    expect(seen(model)).toHaveLength(3);
    await settled();
    expect(seen(model)).toEqual(['0 (3)', '1 (2)', 'run1', 'run4', '2 (2)']);
    model.folds.openAll();
    await settled();
    expect(seen(model)).toHaveLength(10);
    model.folds.turn(['0']);
    await settled();
    expect(seen(model).slice(0, 2)).toEqual(['0 (3)', '1 (2)']);
    model.setView({ groups: [] });
    await settled();
    expect(seen(model)).toHaveLength(7);
    expect(model.windows.snapshot.groups).toBeNull();
    model.dispose();
  });

  it('stay open when runs come, and after a reload', async () => {
    const table = new FakeTable(7);
    const model = await grouped(table);
    model.folds.turn(['2']);
    await settled();
    table.runs.push({ ...table.runs[2], run_id: 'run7' });
    table.tell();
    await settled();
    expect(seen(model).slice(2)).toEqual(['2 (3)', 'run2', 'run5', 'run7']);
    model.dispose();
    await settled();
    const again = await opened(table);
    expect(seen(again).slice(2)).toEqual(['2 (3)', 'run2', 'run5', 'run7']);
    again.dispose();
  });

  it('are selected by their heads, which tell how many of theirs are', async () => {
    const table = new FakeTable(3000);
    const model = await grouped(table);
    const state = () => model.selection.ofGroup('["1"]', 1000, []);
    await model.toggleGroup(['1'], 1);
    expect(model.selection.count(3000)).toBe(1000);
    expect(state()).toBe('all');
    expect(await model.selected()).toHaveLength(1000);
    model.selection.toggle('run4', 4);
    expect(state()).toBe('some');
    // A range takes closed groups whole.
    await model.toggleGroup(['1'], 1);
    await model.selection.extend(2);
    expect(model.selection.count(3000)).toBe(2000);
    await model.toggleGroup(['1'], 1);
    expect([state(), model.selection.count(3000)]).toEqual(['none', 1000]);
    model.selection.selectAll();
    expect(state()).toBe('all');
    model.dispose();
  });

  it('are asked for with what columns show of them', () => {
    expect(asGrouping([], CLOSED, [])).toBeUndefined();
    const columns = [
      { name: 'metrics.a', aggregate: 'min' as const },
      { name: 'metrics.b' }
    ];
    expect(asGrouping(['status'], CLOSED, columns)).toMatchObject({
      by: ['status'],
      open_levels: 0,
      aggregates: { 'metrics.a': 'min' }
    });
  });

  it('are read back from what was kept, whatever that is', () => {
    expect(
      asView({ groups: ['a', 1, 'a', 'b', 'c', 'd', 'e'] }).groups
    ).toEqual(['a', 'b', 'c', 'd']);
    expect(asView({}).groups).toEqual([]);
    const turned = [['x', null], [], ['x', 1], 'x', ['a', 'b', 'c', 'd', 'e']];
    expect(asFolding({ openLevels: 7, turned })).toEqual({
      openLevels: 0,
      turned: [['x', null]]
    });
    expect(asFolding(undefined)).toEqual(CLOSED);
    const folds = new GroupFolds();
    folds.turn([null]);
    folds.turn(['null']);
    folds.turn([null]);
    expect(folds.folding.turned).toEqual([['null']]);
  });
});
