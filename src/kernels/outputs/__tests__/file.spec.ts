import type { ICodeCellModel } from '@jupyterlab/cells';
import type { Contents } from '@jupyterlab/services';

import { trans } from '../../../tasks/__tests__/support';
import { NotebookFile } from '../file';

import { Page } from './page';

interface IAsking {
  _raiseConflict(model: object, options: object): Promise<unknown>;
}

/** A code cell of a file. */
const cell = (source: string, text = '', count: number | null = null) => ({
  cell_type: 'code',
  id: source === 'work()' ? 'a' : 'b',
  source,
  metadata: { trusted: true } as object,
  execution_count: count,
  outputs: text ? [{ output_type: 'stream', name: 'stdout', text }] : []
});

const ran = (
  text: string,
  count: number,
  others: ReturnType<typeof cell>[] = []
) => ({
  cells: [cell('work()', text, count), cell('more()'), ...others],
  metadata: {},
  nbformat: 4,
  nbformat_minor: 5
});

describe('NotebookFile', () => {
  let page: Page;
  let onDisk: ReturnType<typeof ran>;
  let file: NotebookFile;
  let running: string[];
  let asked: number;
  let halves: number;

  /** JupyterLab's context as far as it saves: it asks where the hash differs. */
  const context = () =>
    page.context as unknown as {
      contentsModel: { hash: string };
      _maybeSave(options: object): Promise<unknown>;
    };
  const hash = () => JSON.stringify(onDisk.cells);
  const save = () => context()._maybeSave({ content: page.model.toJSON() });
  const disk = () => onDisk.cells as { outputs: { text: string }[] }[];

  beforeEach(async () => {
    jest.spyOn(console, 'warn').mockImplementation();
    page = new Page({ a: 'work()', b: 'more()' });
    onDisk = ran('', 0);
    onDisk.cells[0].execution_count = null;
    running = [];
    asked = 0;
    halves = 0;
    Object.assign(page.context, {
      contentsModel: { hash: hash() },
      revert: () => Promise.resolve(),
      _updateContentsModel: (model: { hash: string }) => {
        context().contentsModel = { hash: model.hash };
      },
      _raiseConflict: () => {
        asked += 1;
        return Promise.reject(new Error('Cancel'));
      },
      async _maybeSave(this: IAsking, options: Contents.IModel) {
        await Promise.resolve();
        if (context().contentsModel.hash !== hash()) {
          return this._raiseConflict({}, options);
        }
        onDisk = options.content;
        context().contentsModel = { hash: hash() };
        return {};
      }
    });
    file = new NotebookFile({
      panel: page.panel,
      contents: {
        get: () =>
          halves-- > 0
            ? Promise.reject(new Error('Unreadable Notebook'))
            : Promise.resolve({
                hash: hash(),
                content: JSON.parse(JSON.stringify(onDisk))
              } as Contents.IModel)
      },
      isRunning: ({ id }) => running.includes(id),
      taken: () => undefined,
      trans
    });
    await page.context.ready;
    await Promise.resolve();
  });

  afterEach(() => {
    jest.restoreAllMocks();
  });

  const edit = (source: string, index = 1) =>
    page.model.sharedModel.cells[index].setSource(source);

  it('shows what the server wrote, and has no changes of its own', async () => {
    onDisk = ran('one', 1);
    await file.look();
    expect(page.text('a')).toBe('one');
    expect(page.model.dirty).toBe(false);
  });

  it('saves an edit and the outputs in the file', async () => {
    onDisk = ran('one', 1);
    edit('edited()');
    await save();
    expect(asked).toBe(0);
    expect(disk()).toMatchObject([
      { outputs: [{ text: 'one' }] },
      { source: 'edited()' }
    ]);
  });

  it('keeps the outputs of a cell that was edited or deleted below the others', async () => {
    onDisk = ran('one', 1);
    edit('edited()', 0);
    await save();
    await save();
    expect(disk()).toMatchObject([
      { source: 'edited()', outputs: [] },
      {},
      { cell_type: 'markdown' },
      { source: 'work()', outputs: [{ text: 'one' }] }
    ]);
    expect(disk()).toHaveLength(4);
  });

  it.each([
    ['a newer run', () => undefined],
    ['a run that goes on', () => running.push('a')]
  ])('keeps %s of the page', async (_, prepare) => {
    onDisk = ran('one', 1);
    const [a] = Array.from(page.model.cells) as ICodeCellModel[];
    a.outputs.fromJSON(cell('', 'two').outputs);
    a.executionCount = 2;
    prepare();
    await save();
    expect(asked).toBe(0);
    expect(disk()[0].outputs).toMatchObject([{ text: 'two' }]);
  });

  it('takes recovered outputs that are new in the file', async () => {
    const metadata = { genops: { recovered: 'run-9' } };
    const found = { ...cell('gone()', 'nine', 9), id: 'c', metadata };
    onDisk = ran('', 0, [found]);
    onDisk.cells[0].execution_count = null;
    await save();
    expect(disk().slice(-1)).toMatchObject([
      { source: 'gone()', outputs: [{ text: 'nine' }], metadata }
    ]);
  });

  it('lets JupyterLab ask where somebody else edited the file', async () => {
    onDisk = ran('one', 1);
    onDisk.cells[1].source = 'theirs()';
    edit('edited()');
    await expect(save()).rejects.toThrow('Cancel');
    expect(asked).toBe(1);
    expect(page.text('a')).toBe('');
  });

  it('begins a save when the one before has ended', async () => {
    edit('first()');
    const first = save();
    edit('second()');
    await Promise.all([first, save()]);
    expect(asked).toBe(0);
    expect(disk()[1]).toMatchObject({ source: 'second()' });
  });

  it('reads a file again that another save has in its middle', async () => {
    onDisk = ran('one', 1);
    halves = 2;
    edit('edited()');
    await save();
    expect(asked).toBe(0);
    expect(halves).toBeLessThan(0);
    expect(disk()[0].outputs).toMatchObject([{ text: 'one' }]);
  });
});
