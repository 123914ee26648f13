import {
  act,
  cleanup,
  fireEvent,
  render,
  screen
} from '@testing-library/react';
import * as React from 'react';

import { Bench, Refusal, settle, trans } from '../../tasks/__tests__/support';
import { AddTarget } from '../add';
import { afterBuild } from '../offers';
import { QuestionsModel } from '../questions';
import type {
  IEnvironmentSource,
  IReportStep,
  ITargetReport,
  ITask
} from '../service';
import { TargetsService } from '../service';
import { AddView } from '../view/add-dialog';

function step(part: Partial<IReportStep> = {}): IReportStep {
  return {
    step: 'ipykernel',
    state: 'failed',
    message: 'python3 has no ipykernel.',
    hint: 'Build an environment there.',
    commands: ['genops targets build gpu1', 'ssh gpu1 pip install ipykernel'],
    fixes: ['build', 'install'],
    took_s: 0.1,
    ...part
  };
}

const MLFLOW = step({
  step: 'mlflow',
  state: 'optional',
  message: 'mlflow is not in this environment.',
  hint: 'genops.log works without it.',
  commands: ['ssh gpu1 pip install mlflow'],
  fixes: ['install']
});

function source(part: Partial<IEnvironmentSource> = {}): IEnvironmentSource {
  return {
    path: '/home/ada/digits/uv.lock',
    file: 'uv.lock',
    kind: 'uv',
    problem: '',
    preferred: true,
    ...part
  };
}

const SOURCES = [
  source(),
  source({
    path: '/home/ada/digits/requirements.txt',
    file: 'requirements.txt',
    kind: 'requirements',
    preferred: false
  }),
  source({
    path: '/home/ada/digits/environment.yml',
    file: 'environment.yml',
    kind: 'conda',
    problem: 'Conda environments are not built.',
    preferred: false
  })
];

describe('what can be done after a build', () => {
  const done = (part: Partial<ITask>): ITask => ({
    id: 't1',
    title: 'Build an environment on gpu1',
    state: 'done',
    subject: 'target:gpu1',
    kind: 'environment',
    client: '',
    message: 'It can run kernels.',
    hint: '',
    progress: 1,
    created_at: 1,
    finished_at: 2,
    ...part
  });

  it('is a notebook there, and the whole test', () => {
    const execute = jest.fn();
    const [notebook, test] = afterBuild(done({}), trans, execute);
    notebook.callback(new MouseEvent('click'));
    test.callback(new MouseEvent('click'));
    expect(execute.mock.calls).toEqual([
      ['genops:new-notebook-on-target', { name: 'gpu1' }],
      ['genops:test-target', { name: 'gpu1' }]
    ]);
  });

  it('is nothing after other work', () => {
    expect(afterBuild(done({ kind: '' }), trans, jest.fn())).toEqual([]);
  });
});

describe('building an environment', () => {
  let bench: Bench;
  let questions: QuestionsModel;
  let model: AddTarget;
  let report: ITargetReport;
  let task: ITask;
  let lines: string[];
  const actions = {
    onCancel: jest.fn(),
    onBack: jest.fn(),
    onKeep: jest.fn()
  };

  beforeEach(async () => {
    report = {
      target: 'gpu1',
      state: 'failed',
      steps: [step(), MLFLOW],
      task_id: 't1',
      started_at: 1,
      ended_at: 2
    };
    task = {
      id: 'b1',
      title: 'Build an environment on gpu1',
      state: 'running',
      subject: 'target:gpu1',
      kind: 'environment',
      client: '',
      message: 'Making the environment.',
      hint: '',
      progress: 0.25,
      created_at: 1,
      finished_at: null
    };
    lines = ['Making the environment.'];
    bench = new Bench({
      'GET /questions': [],
      'POST /targets/gpu1/test': { id: 't1' },
      'GET /targets/gpu1/report': () => report,
      'GET /environment-sources': SOURCES,
      'POST /targets/gpu1/environment': () => task,
      'POST /targets/gpu1/packages': () => task,
      'GET /tasks/b1': () => task,
      'GET /tasks/b1/log': () => ({ id: 'b1', lines }),
      'POST /tasks/b1/cancel': () => {
        task = { ...task, state: 'cancelled', message: 'Cancelled.' };
        return task;
      }
    });
    const service = new TargetsService(bench.core.api);
    questions = new QuestionsModel(bench.core, service);
    model = new AddTarget(bench.core, service, {
      existing: 'gpu1',
      project: 'digits/train.ipynb'
    });
    render(<Shown />);
    await act(() => model.test());
    await act(() => settle());
  });

  afterEach(() => {
    cleanup();
    model.dispose();
    questions.dispose();
    bench.dispose();
  });

  function Shown(): React.ReactElement {
    const [, again] = React.useReducer((count: number) => count + 1, 0);
    React.useEffect(() => {
      model.changed.connect(again, again);
      return () => {
        model.changed.disconnect(again, again);
      };
    }, []);
    return <AddView {...actions} {...{ model, questions, trans }} />;
  }

  const button = (name: RegExp | string) =>
    screen.getByRole<HTMLButtonElement>('button', { name });
  const radio = (name: RegExp) =>
    screen.getByRole<HTMLInputElement>('radio', { name });

  async function click(name: RegExp | string): Promise<void> {
    fireEvent.click(button(name));
    await act(() => settle());
  }

  async function tell(part: Partial<ITask>): Promise<void> {
    task = { ...task, ...part };
    bench.change('task', 'b1');
    await act(() => settle());
  }

  it('offers what can be done where a step lacks something', () => {
    expect(screen.getByText('optional')).toBeTruthy();
    expect(button(/^Build an environment/)).toBeTruthy();
    expect(button('Install ipykernel')).toBeTruthy();
    expect(button('Install mlflow')).toBeTruthy();
  });

  it('shows the command where nothing may be installed from here', async () => {
    bench.answers['POST /targets/gpu1/test'] = { id: 't2' };
    report = { ...report, task_id: 't2', steps: [{ ...MLFLOW, fixes: [] }] };
    await act(() => model.test());
    await act(() => settle());
    expect(button('Copy the command').title).toBe(
      'ssh gpu1 pip install mlflow'
    );
    expect(screen.queryByRole('button', { name: 'Install mlflow' })).toBeNull();
  });

  it('offers the files of the project, the best one chosen', async () => {
    await click(/^Build an environment/);
    expect(radio(/uv\.lock/).checked).toBe(true);
    expect(document.activeElement).toBe(radio(/uv\.lock/));
    expect(radio(/environment\.yml/).disabled).toBe(true);
    expect(screen.getByText('Conda environments are not built.')).toBeTruthy();
    fireEvent.click(radio(/requirements\.txt/));
    fireEvent.click(screen.getByRole('checkbox'));
    await click('Build');
    expect(bench.bodies).toContainEqual({
      source: '/home/ada/digits/requirements.txt',
      packages: ['mlflow'],
      python: '',
      folder: ''
    });
    expect(screen.getByRole('log').textContent).toContain('Making the');
    expect(screen.getByRole('progressbar')).toBeTruthy();
    expect(document.activeElement).toBe(screen.getByRole('log'));
  });

  it('goes on with the test when it is built', async () => {
    await click(/^Build an environment/);
    await click('Build');
    lines = [...lines, 'Installing uv.lock and ipykernel.'];
    await tell({ message: 'Installing uv.lock and ipykernel.', progress: 0.5 });
    expect(screen.getByRole('status').textContent).toBe(
      'Installing uv.lock and ipykernel.'
    );
    const tests = bench.count('POST /targets/gpu1/test');
    await tell({ state: 'done', message: 'gpu1 uses it.' });
    expect(bench.count('POST /targets/gpu1/test')).toBe(tests + 1);
    expect(
      screen.getByRole('list', { name: /Steps of the test/ })
    ).toBeTruthy();
  });

  it('can be cancelled, and leads back to the choice', async () => {
    await click(/^Build an environment/);
    await click('Build');
    await click('Cancel');
    expect(bench.count('POST /tasks/b1/cancel')).toBe(1);
    expect(radio(/uv\.lock/).checked).toBe(true);
    await click('Back');
    expect(button(/^Build an environment/)).toBeTruthy();
  });

  it('can be left to itself', async () => {
    await click(/^Build an environment/);
    await click('Build');
    await click('Run in background');
    expect(actions.onKeep).toHaveBeenCalledTimes(1);
    expect(bench.count('POST /tasks/b1/cancel')).toBe(0);
  });

  it('says why it failed, with the log, and lets it be changed', async () => {
    await click(/^Build an environment/);
    await click('Build');
    lines = ['ERROR: No matching distribution found for x'];
    await tell({
      state: 'failed',
      message: 'No matching distribution found for x',
      hint: 'Correct the file.'
    });
    expect(screen.getByRole('status').textContent).toContain('Correct the');
    expect(screen.getByRole('log').textContent).toContain('ERROR');
    await click('Edit');
    expect(radio(/uv\.lock/)).toBeTruthy();
    expect(bench.count('GET /environment-sources')).toBe(1);
  });

  it('installs mlflow with one click', async () => {
    await click('Install mlflow');
    expect(bench.bodies).toContainEqual({ packages: ['mlflow'] });
    expect(screen.getByText('Installing mlflow on gpu1')).toBeTruthy();
    await tell({ state: 'failed', message: 'No space.', hint: '' });
    await click('Try again');
    expect(bench.count('POST /targets/gpu1/packages')).toBe(2);
  });

  it('stays with the steps where it cannot begin', async () => {
    bench.answers['POST /targets/gpu1/packages'] = new Refusal(
      409,
      'building',
      'Another build on gpu1 is running.'
    );
    await click('Install mlflow');
    expect(screen.getByText('Another build on gpu1 is running.')).toBeTruthy();
    expect(button('Install mlflow')).toBeTruthy();
  });

  it('is cancelled with the dialog', async () => {
    await click('Install mlflow');
    await act(() => model.discard());
    expect(bench.count('POST /tasks/b1/cancel')).toBe(1);
  });
});
