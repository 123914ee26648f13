import {
  act,
  cleanup,
  fireEvent,
  render,
  screen
} from '@testing-library/react';
import { Signal } from '@lumino/signaling';
import * as React from 'react';

import { ApiError, GenOpsEvents } from '../../core';
import type { ICurrentNotebook } from '../../panel/notebook/tokens';
import type { IDriven, ISection } from '../../panel/tokens';
import type { ExperimentsModel } from '../model';
import { ExperimentsView } from '../view/section';
import { LatestRun } from '../view/this-notebook';

import { FakeServer, makeRun, makeSeries, trans } from './support';

describe('the experiments section', () => {
  let server: FakeServer;
  let model: ExperimentsModel;
  const actions = {
    insertCode: jest.fn(),
    restore: jest.fn(),
    compare: jest.fn(),
    copyLink: jest.fn(),
    openMlflow: jest.fn(),
    register: jest.fn(),
    openNotebook: jest.fn(),
    openProfile: jest.fn(),
    canOpenProfile: jest.fn(() => true),
    insertTrack: jest.fn(),
    openTable: jest.fn(),
    canOpenTable: jest.fn(() => true),
    openCharts: jest.fn(),
    canOpenCharts: jest.fn(() => true),
    showLineage: jest.fn(),
    canShowLineage: jest.fn(() => true),
    canRegister: jest.fn(() => true)
  };
  const manage = { add: jest.fn(), delete: jest.fn() };

  beforeEach(() => {
    jest.useFakeTimers();
    jest.clearAllMocks();
    server = new FakeServer();
    server.runs = [makeRun(3), makeRun(2, { status: 'FAILED' }), makeRun(1)];
    model = server.model();
  });

  afterEach(() => {
    cleanup();
    model.dispose();
    jest.useRealTimers();
  });

  const pass = (ms = 0) => act(() => jest.advanceTimersByTimeAsync(ms));

  async function show(): Promise<void> {
    model.visible = true;
    render(<ExperimentsView {...{ model, actions, manage, trans }} />);
    await pass();
  }

  const head = (name: string) =>
    screen.getByRole('button', { name: new RegExp(name) });

  it('deletes the chosen experiment, but not the one that MLflow needs', async () => {
    const digits = server.experiments[0];
    server.experiments.push({ ...digits, id: '0', name: 'Default' });
    await show();
    const deletion = () =>
      screen.queryByRole('button', { name: /^Delete the/ });
    fireEvent.click(screen.getByRole('button', { name: 'Add an experiment…' }));
    expect(manage.add).toHaveBeenCalledTimes(1);
    expect(deletion()).toBeNull();
    const choose = async (value: string) => {
      fireEvent.change(screen.getByLabelText('Experiment'), {
        target: { value }
      });
      await pass();
    };
    await choose('0');
    expect(deletion()).toBeNull();
    await choose('1');
    fireEvent.click(deletion()!);
    expect(manage.delete).toHaveBeenCalledWith(digits);
  });

  it('shows a run its own metrics where it has none of the others, and which diverged', async () => {
    server.runs.unshift(
      makeRun(9, { metrics: { count: 7 } }),
      makeRun(8, { tags: { 'genops.diverged': 'loss is NaN since step 3' } })
    );
    await show();
    expect(head('fox-9').textContent).toContain('count 7');
    expect(screen.getByText('loss is NaN since step 3')).toBeTruthy();
    expect(head('fox-3').textContent).not.toContain('count');
  });

  it('lists runs with status in words, duration and two metrics', async () => {
    await show();
    const failed = head('fox-2');
    expect(failed.textContent).toContain('failed');
    expect(failed.textContent).toContain('accuracy 0.9');
    expect(failed.textContent).toContain('loss 0.25');
    expect(failed.textContent).not.toContain('epoch');
    expect(head('fox-1').textContent).toContain('finished');
  });

  it('puts a run that goes on before newer ones that ended', async () => {
    server.runs[2] = makeRun(1, { status: 'RUNNING', ended_at: null });
    await show();
    const names = Array.from(document.querySelectorAll('.gol-Run-name'));
    expect(names.map(node => node.textContent)).toEqual([
      'fox-1',
      'fox-3',
      'fox-2'
    ]);
    await pass(200);
    expect(
      screen.getByText('Metrics appear here as they are logged.')
    ).toBeTruthy();
  });

  it('says that a run which goes on has logged no metric for long', async () => {
    // The server decides what is long.
    const last = Date.now() / 1000 - 240;
    server.stalled_s = () => {
      const quiet = Date.now() / 1000 - last;
      return quiet > 300 ? quiet : null;
    };
    const going = { status: 'RUNNING', ended_at: null } as const;
    server.runs = [makeRun(3, { ...going, metrics: { loss: 1 } })];
    await show();
    await pass(1000);
    expect(server.takeCalls()).toContain('latest run0003');
    expect(screen.queryByText(/no metric for/)).toBeNull();
    await pass(180_000);
    await pass(1000);
    expect(screen.getByText('no metric for 7 min')).toBeTruthy();
    // One that comes takes it away, also with the same value.
    server.stalled_s = () => null;
    await pass(60_000);
    await pass(1000);
    expect(screen.queryByText(/no metric for/)).toBeNull();
    // One that has ended, or logged none of its own, is no case of this.
    server.runs = [makeRun(3), makeRun(2, { ...going, metrics: {} })];
    server.tell('run');
    server.takeCalls();
    await pass(900_000);
    expect(server.takeCalls().join()).not.toContain('latest');
  });

  it('is one stop for Tab, with arrow keys between the runs', async () => {
    await show();
    const stops = Array.from(
      document.querySelectorAll<HTMLElement>('.gol-Run-head')
    ).filter(node => node.tabIndex === 0);
    expect(stops).toEqual([head('fox-3')]);
    act(() => head('fox-3').focus());
    fireEvent.keyDown(head('fox-3'), { key: 'ArrowDown' });
    expect(document.activeElement).toBe(head('fox-2'));
    expect(head('fox-2').tabIndex).toBe(0);
    fireEvent.keyDown(head('fox-2'), { key: 'End' });
    expect(document.activeElement).toBe(head('fox-1'));
    fireEvent.keyDown(head('fox-1'), { key: 'ArrowDown' });
    expect(document.activeElement).toBe(head('fox-1'));
  });

  it('opens a run in place: facts, models to register, files', async () => {
    server.runs[0] = makeRun(3, {
      metrics: {},
      git_commit: 'abcdef0123456',
      git_dirty: true
    });
    server.models = [
      { name: 'classifier', uri: 'models:/m-1', flavors: ['sklearn'] }
    ];
    server.artifacts = [{ path: 'notes.txt', is_dir: false, size_bytes: 2048 }];
    await show();
    fireEvent.click(head('fox-3'));
    await pass();
    expect(head('fox-3').getAttribute('aria-expanded')).toBe('true');
    expect(screen.getByText('abcdef01')).toBeTruthy();
    expect(screen.getByText('modified')).toBeTruthy();
    fireEvent.click(screen.getByRole('button', { name: 'train.ipynb' }));
    expect(actions.openNotebook).toHaveBeenCalledWith('work/train.ipynb');
    fireEvent.click(screen.getByRole('button', { name: 'Restore notebook' }));
    expect(actions.restore).toHaveBeenCalledWith(server.runs[0]);
    fireEvent.click(screen.getByRole('button', { name: 'Register…' }));
    expect(actions.register).toHaveBeenCalledWith(
      server.runs[0],
      server.models[0]
    );
    fireEvent.click(screen.getByRole('button', { name: /loads the model/ }));
    expect(actions.insertCode).toHaveBeenCalledWith(
      server.runs[0],
      server.models[0]
    );
    fireEvent.click(screen.getByRole('button', { name: /Artifacts/ }));
    expect(screen.getByText('2.0 KiB')).toBeTruthy();
    fireEvent.click(head('fox-3'));
    expect(screen.queryByText('abcdef01')).toBeNull();
  });

  it('reads NaN beside a curve that ends in it', async () => {
    const tags = { 'genops.diverged': 'loss is NaN since step 1' };
    server.runs[0] = makeRun(3, { tags, metrics: { loss: null } });
    server.histories = [makeSeries('loss', [0, 1, 2], [1, null, null])];
    await show();
    fireEvent.click(head('fox-3'));
    await pass(300);
    const red = (selector: string) =>
      document.querySelector(selector)?.textContent;
    expect(red('.gol-Curve-bad')).toBe('NaN');
    expect(red('.gol-KeyValues .gol-mod-bad')).toBe('NaN');
  });

  it('leads to the runs above and below, and shows what was printed', async () => {
    server.parent = { run_id: 'elsewhere', name: 'sweep', status: 'FINISHED' };
    server.children = [
      { run_id: server.runs[2].run_id, name: 'step one', status: 'FAILED' }
    ];
    const part = { stream: 'stdout', session: '', text: '\u001b[1mepoch 1\n' };
    server.texts = [{ path: 'output/stdout.txt', ...part }];
    await show();
    fireEvent.click(head('fox-3'));
    await pass();
    expect(screen.getByText('sweep').tagName).toBe('SPAN');
    const output = screen.getByRole('button', { name: 'Output' });
    expect(screen.queryByRole('region', { name: /printed/ })).toBeNull();
    fireEvent.click(output);
    await pass();
    expect(screen.getByRole('region', { name: /stdout/ }).textContent).toBe(
      'epoch 1\n'
    );
    server.texts = [{ ...server.texts[0], text: 'epoch 2\n' }];
    fireEvent.click(screen.getByRole('button', { name: 'Refresh' }));
    await pass();
    expect(screen.getByRole('region', { name: /stdout/ }).textContent).toBe(
      'epoch 2\n'
    );
    fireEvent.click(screen.getByRole('button', { name: 'step one' }));
    await pass();
    expect(head('fox-1').getAttribute('aria-expanded')).toBe('true');
  });

  it('offers no registering where the models room is off', async () => {
    actions.canRegister.mockReturnValueOnce(false);
    server.models = [{ name: 'classifier', uri: 'models:/m-1', flavors: [] }];
    server.runs[0] = makeRun(3, { metrics: {} });
    await show();
    fireEvent.click(head('fox-3'));
    await pass();
    expect(screen.getByText('classifier')).toBeTruthy();
    expect(screen.queryByRole('button', { name: 'Register…' })).toBeNull();
  });

  it('shows a wrong filter at its field and keeps the runs', async () => {
    await show();
    server.failure = new ApiError({
      status: 400,
      code: 'invalid',
      message: 'The filter cannot be read.'
    });
    const field = screen.getByRole('textbox', { name: 'Filter runs' });
    fireEvent.change(field, { target: { value: 'metrics.' } });
    expect(server.calls.join()).not.toContain('metrics.');
    fireEvent.keyDown(field, { key: 'Enter' });
    await pass();
    expect(screen.getByRole('alert').textContent).toContain(
      'The filter cannot be read.'
    );
    expect(field.getAttribute('aria-invalid')).toBe('true');
    expect(head('fox-3')).toBeTruthy();
    server.failure = null;
    fireEvent.click(screen.getByRole('button', { name: 'Clear the filter' }));
    await pass(1000);
    expect(screen.queryByRole('alert')).toBeNull();
  });

  it('says what to do next where nothing is', async () => {
    server.runs = [];
    await show();
    fireEvent.click(
      screen.getByRole('button', { name: 'Insert a %%track cell' })
    );
    expect(actions.insertTrack).toHaveBeenCalled();
    fireEvent.change(screen.getByRole('combobox', { name: 'Experiment' }), {
      target: { value: '1' }
    });
    await pass(1000);
    expect(screen.getByText('This experiment has no runs yet.')).toBeTruthy();
    server.runs = [makeRun(1)];
    fireEvent.click(
      screen.getByRole('button', { name: 'Show all experiments' })
    );
    await pass(1000);
    expect(head('fox-1')).toBeTruthy();
  });

  it('says when the backend is down, and comes back by itself', async () => {
    server.failure = new ApiError({
      status: 503,
      code: 'unavailable',
      message: 'MLflow does not answer.'
    });
    await show();
    expect(screen.getByText('The runs cannot be read.')).toBeTruthy();
    server.failure = null;
    await pass(2500);
    expect(head('fox-3')).toBeTruthy();
  });
});

describe('the latest run of the notebook in front', () => {
  let server: FakeServer;
  const onOpen = jest.fn();
  const onTrack = jest.fn();
  const section = {
    drive: (driven: IDriven) => {
      driven.visible = true;
      return { dispose: () => (driven.visible = false), isDisposed: false };
    }
  } as unknown as ISection;

  beforeEach(() => {
    jest.useFakeTimers();
    server = new FakeServer();
  });

  afterEach(() => {
    cleanup();
    jest.useRealTimers();
  });

  const pass = (ms = 0) => act(() => jest.advanceTimersByTimeAsync(ms));

  async function show(path: string) {
    const current = {
      path,
      panel: null,
      changed: new Signal<object, void>({})
    };
    const options = {
      service: server.service,
      events: new GenOpsEvents({ stream: server.stream }),
      trans
    };
    render(
      <LatestRun {...{ current, section, options, trans, onOpen, onTrack }} />
    );
    await pass();
    return current as {
      path: string;
      changed: Signal<object, void>;
    } & ICurrentNotebook;
  }

  it('is found by the end of its source, and leads to the run', async () => {
    server.runs = [
      makeRun(5, { source: '/home/ada/other-train.ipynb' }),
      makeRun(4, { source: '/home/ada/train.ipynb', status: 'FAILED' }),
      makeRun(3, { source: '/home/ada/train.ipynb' })
    ];
    await show('train.ipynb');
    expect(server.takeCalls()).toEqual([
      "runs |tags.`mlflow.source.name` LIKE '%train.ipynb'|"
    ]);
    const run = screen.getByRole('button');
    expect(run.textContent).toBe('fox-4');
    expect(screen.getByText('failed')).toBeTruthy();
    expect(screen.getByText('accuracy')).toBeTruthy();
    fireEvent.click(run);
    expect(onOpen).toHaveBeenCalledWith('run0004');
  });

  it('is asked at most every two seconds while a run logs, and follows the notebook', async () => {
    server.runs = [makeRun(1, { source: "/a/it's.ipynb" })];
    const current = await show("it's.ipynb");
    expect(server.takeCalls()).toEqual([
      'runs |tags.`mlflow.source.name` LIKE "%it\'s.ipynb"|'
    ]);
    for (let times = 0; times < 20; times++) {
      server.tell('run', 'run0001');
      await pass(100);
    }
    expect(server.takeCalls().length).toBeLessThanOrEqual(2);
    current.path = 'next.ipynb';
    await act(async () => current.changed.emit());
    await pass();
    expect(screen.getByText('No run yet')).toBeTruthy();
    fireEvent.click(screen.getByRole('button', { name: 'Track a cell' }));
    expect(onTrack).toHaveBeenCalled();
  });
});
