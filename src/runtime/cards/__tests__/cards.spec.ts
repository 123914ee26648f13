import { MimeModel } from '@jupyterlab/rendermime';
import { KernelMessage } from '@jupyterlab/services';
import { Widget } from '@lumino/widgets';

import { makeRun } from '../../../experiments/__tests__/support';
import { page, Bench, settle } from '../../../tasks/__tests__/support';
import { MIME } from '../card';
import { LiveCards } from '../model';
import { cardRenderer } from '../renderer';
import { sweepState } from '../states';

const STATE = {
  title: 'digits',
  status: 'RUNNING',
  key: 'k',
  params: { lr: 1 }
};
const SERIES = {
  key: 'loss',
  steps: [0, 1],
  values: [2, 0.5],
  timestamps: [10, 11]
};

function message(
  type: 'comm_open' | 'comm_msg' | 'comm_close',
  content: object
): KernelMessage.IIOPubMessage {
  return KernelMessage.createMessage({
    msgType: type,
    channel: 'iopub',
    session: 's',
    content: { comm_id: 'c', target_name: 'jupyter.widget', ...content }
  } as never) as unknown as KernelMessage.IIOPubMessage;
}

describe('a card in an output', () => {
  let bench: Bench;
  let cards: LiveCards;
  let shown: Widget;
  const stop = jest.fn(() => Promise.resolve());

  async function show(view = 'run', state: object = STATE): Promise<void> {
    const renderer = cardRenderer(cards, bench.core).createRenderer(
      {} as never
    );
    shown = renderer as unknown as Widget;
    const card = { view, comm_id: 'c', display_id: 'd', state };
    await renderer.renderModel(
      new MimeModel({
        data: { [MIME]: card as never, 'text/plain': 'as text' }
      })
    );
    Widget.attach(shown, document.body);
    await settle(400);
  }

  beforeEach(() => {
    const run = makeRun(1, {
      name: 'digits',
      status: 'FINISHED',
      started_at: 10,
      ended_at: 73,
      tags: { 'genops.diverged': 'loss is NaN since step 3' }
    });
    bench = new Bench({
      'GET /runs': { items: [run], next: '' },
      [`GET /runs/${run.run_id}`]: { run },
      [`GET /runs/${run.run_id}/metrics`]: { series: [SERIES], system: [] }
    });
    cards = new LiveCards(stop);
  });

  afterEach(() => {
    shown.dispose();
    bench.dispose();
  });

  it('is drawn from the run where no kernel says anything, found by its key', async () => {
    await show();
    expect(bench.asked('GET /runs')[0].filter).toBe(
      "tags.`genops.run_key` = 'k'"
    );
    expect(shown.node.textContent).toContain('Finished1 min 3 s');
    expect(shown.node.textContent).toContain('loss is NaN since step 3');
    expect(
      shown.node.querySelector('[role=img]')?.getAttribute('aria-label')
    ).toBe('Chart of loss: loss 0.5 at step 1');
  });

  it('hears that its run diverges', async () => {
    const run = makeRun(1, { status: 'RUNNING' });
    bench.answers[`GET /runs/${run.run_id}`] = { run };
    await show('run', { ...STATE, run_id: run.run_id });
    expect(shown.node.textContent).not.toContain('NaN');
    const tags = { 'genops.diverged': 'loss is NaN since step 1' };
    bench.answers[`GET /runs/${run.run_id}`] = { run: { ...run, tags } };
    bench.change('divergence', run.run_id);
    await settle(1500);
    expect(shown.node.textContent).toContain('loss is NaN since step 1');
  });

  it('is drawn from the messages of a kernel, and asks the Lab for nothing', async () => {
    const state = { _anywidget_id: 'genops_lab.kernel.run', ...STATE };
    cards.hear('k1', message('comm_open', { data: { state } }));
    await show();
    const news = { series: { loss: SERIES }, elapsed_s: 83 };
    const data = { method: 'update', state: news };
    cards.hear('k1', message('comm_msg', { data }));
    await settle();
    expect(shown.node.textContent).toContain('Running1 min 23 s');
    expect(bench.calls).toEqual([]);
    cards.forget('k1'); // it was restarted
    await settle(400);
    expect(shown.node.textContent).toContain('Finished');
  });

  it('takes the messages of a kernel that went on while the page was loaded', async () => {
    await show();
    const news = { status: 'RUNNING', elapsed_s: 5, series: {} };
    const data = { method: 'update', state: news };
    cards.hear('k1', message('comm_msg', { data }));
    const before = bench.calls.length;
    bench.change('run');
    await settle(400);
    expect(shown.node.textContent).toContain('Running5.0 s');
    expect(bench.calls).toHaveLength(before);
  });

  it('says that this MLflow has no such run, and asks for none whose key is not one', async () => {
    await show('run', { ...STATE, key: "' OR '1" });
    expect(shown.node.textContent).toContain('Unknown');
    expect(shown.node.textContent).toContain('no such run');
    expect(bench.calls).toEqual([]);
  });

  it('shows the text of the output where a file holds what is no card', async () => {
    const warn = jest.spyOn(console, 'warn').mockImplementation();
    await show('sweep', { id: 's1', name: 'grid', trials: 5 });
    expect(shown.node.textContent).toBe('as text');
    expect(warn).toHaveBeenCalledTimes(1);
    expect(bench.calls).toEqual([]);
    warn.mockRestore();
  });

  it('stops a sweep', async () => {
    bench.answers['GET /sweeps/s1'] = {
      ...{ id: 's1', name: 'grid', state: 'running', metric: 'loss' },
      ...{ direction: 'minimize', planned: 3, best: 1, summary: [] },
      trials: [2, 1].map((value, number) => ({
        ...{ number, state: 'finished', value, params: { lr: value } },
        ...{ message: '', run_id: '', kernel_name: '' }
      }))
    };
    await show('sweep', { id: 's1', name: 'grid', state: 'running' });
    expect(shown.node.textContent).toContain('2 of 3 trials');
    shown.node.querySelector<HTMLElement>('.gol-sweep-stop')?.click();
    expect(stop).toHaveBeenCalledTimes(1);
  });

  it('finds the profile of a cell that had none yet', async () => {
    const profile = { id: 'p2', title: 'cell', state: 'ready', message: '' };
    bench.answers['GET /profiles'] = page([
      { ...profile, id: 'p3', created_at: 300 },
      { ...profile, created_at: 200 },
      { ...profile, id: 'p1', created_at: 100 }
    ]);
    bench.answers['GET /profiles/p2'] = { ...profile, summary: null };
    await show('profile', { id: '', title: 'cell', started_at: 150 });
    expect(bench.calls).toContain('GET /profiles/p2');
  });
});

it('a long sweep shows its last trials and the best one', () => {
  const trials = Array.from({ length: 120 }, (_, number) => ({
    ...{ number, state: 'finished', value: number },
    params: {}
  }));
  const state = sweepState({
    ...{ metric: 'loss', direction: 'minimize', best: 3, trials }
  } as never);
  expect((state.trials as { number: number }[]).map(t => t.number)).toEqual([
    3,
    ...Array.from({ length: 100 }, (_, at) => at + 20)
  ]);
  expect(state.counts).toEqual({ finished: 120 });
});
