import { isCodeCellModel } from '@jupyterlab/cells';

import { iopub } from '../../../kernels/outputs/__tests__/messages';
import {
  Page,
  account,
  execution
} from '../../../kernels/outputs/__tests__/page';
import { trans } from '../../../tasks/__tests__/support';
import { MIME } from '../card';
import { KeptCards } from '../saved-states';
import { LiveCards } from '../model';
import { NotebookCards } from '../notebook';

const settle = () => new Promise(resolve => setTimeout(resolve, 0));
const CARD = { view: 'run', comm_id: 'c', display_id: 'd', state: {} };
const DATA = { [MIME]: CARD, 'text/plain': 'run x: Running' };
const shown = { output_type: 'display_data', data: DATA, metadata: {} };

describe('the cards of a notebook', () => {
  let recorded: string[];

  /** A page that is loaded, now or anew. */
  async function open(cells: Record<string, string>): Promise<Page> {
    const page = new Page(cells);
    new NotebookCards({
      panel: page.panel,
      cards: new LiveCards(() => Promise.resolve()),
      kept: new KeptCards(),
      trans,
      service: {
        executions: async () =>
          account(recorded.map(msg_id => execution({ cell_id: 'a', msg_id })))
      }
    });
    await settle();
    await settle();
    return page;
  }

  const outputs = (page: Page, at = 0) => {
    const cell = page.model.cells.get(at);
    return isCodeCellModel(cell) ? cell.outputs : null;
  };
  const texts = (page: Page, at = 0) =>
    outputs(page, at)
      ?.toJSON()
      .map(each => (each.data as Record<string, string>)['text/plain']);

  /** Its first cell shows a card, as the output area of a page that runs it has put it there. */
  function run(page: Page): void {
    outputs(page)?.add(shown as never);
    page.kernel.iopubMessage.emit(
      iopub('display_data', { data: DATA, metadata: {} }, 'run-1')
    );
  }

  const end = (page: Page) => {
    const data = { 'text/plain': 'run x: Finished' };
    const transient = { display_id: 'd' };
    page.kernel.iopubMessage.emit(
      iopub('update_display_data', { data, metadata: {}, transient }, 'run-1')
    );
  };

  beforeEach(() => {
    jest.spyOn(console, 'warn').mockImplementation();
    window.sessionStorage.clear();
    recorded = [];
  });
  afterEach(() => jest.restoreAllMocks());

  it('come back after a reload of a notebook that was not saved, and end as pictures', async () => {
    run(await open({ a: 'work()' }));
    const page = await open({ a: 'work()' });
    expect(texts(page)).toEqual(['run x: Running']);
    end(page);
    expect(texts(page)).toEqual(['run x: Finished']);
  });

  it('are left to the file that has them, or that was saved without them', async () => {
    const page = await open({ a: 'work()' });
    run(page);
    await page.context.save();
    expect(texts(await open({ a: 'work()' }))).toEqual([]);
  });

  it('are left to what the server recorded of the kernel', async () => {
    run(await open({ a: 'work()' }));
    recorded = ['run-1'];
    expect(texts(await open({ a: 'work()' }))).toEqual([]);
  });

  it('come with the code that ran where their cell was not saved either', async () => {
    run(await open({ a: 'work()' }));
    const page = await open({ b: 'an older cell' });
    const cells = Array.from(page.model.cells).map(cell =>
      cell.sharedModel.getSource()
    );
    expect(cells.length).toBe(3);
    expect(cells[2]).toBe('work()');
    expect(texts(page, 2)).toEqual(['run x: Running']);
  });
});
