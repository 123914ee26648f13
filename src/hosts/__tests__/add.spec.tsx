import {
  act,
  cleanup,
  fireEvent,
  render,
  screen
} from '@testing-library/react';
import { DisposableDelegate } from '@lumino/disposable';
import * as React from 'react';

import { Bench, Refusal, settle, trans } from '../../tasks/__tests__/support';
import { AddTarget, address, defaultName } from '../add';
import { QuestionsModel } from '../questions';
import type { IReportStep, ITargetReport } from '../service';
import { TargetsService } from '../service';
import { AddView, openAddDialog } from '../view/add-dialog';

import { target } from './support';

const CANDIDATE = {
  alias: 'GPU 1',
  name: 'gpu-1',
  hostname: 'gpu1.example.org',
  user: '',
  port: 0
};

const FIELD = {
  help: '',
  widget: 'text',
  default: '',
  required: false,
  advanced: false,
  locked: false,
  administered: [],
  choices: [],
  choice_labels: {},
  pattern: '',
  minimum: null,
  maximum: null,
  noun: '',
  hint: ''
} as const;

const SSH = {
  kind: 'ssh',
  label: 'A host over SSH',
  fields: [
    {
      ...FIELD,
      name: 'host',
      label: 'Host',
      required: true,
      pattern: '[^\\s;,-][^\\s;,]*',
      hint: 'Give a name without spaces.'
    },
    { ...FIELD, name: 'user', label: 'User', pattern: '[a-z]+' },
    { ...FIELD, name: 'port', label: 'Port', widget: 'number', default: 0 }
  ],
  steps: [],
  name_pattern: '(?!(?:candidates)$)[a-z0-9][a-z0-9._-]{0,56}'
};

const QUEUE = {
  kind: 'queue',
  label: 'A queue',
  fields: [
    { ...FIELD, name: 'partition', label: 'Partition', required: true },
    {
      ...FIELD,
      name: 'hours',
      label: 'Hours',
      widget: 'number',
      default: 8,
      maximum: 24,
      administered: ['default', 'maximum'],
      hint: 'At most a day.'
    },
    {
      ...FIELD,
      name: 'tier',
      label: 'Tier',
      widget: 'choice',
      default: 'spot',
      locked: true,
      choices: ['spot', 'kept'],
      choice_labels: { spot: 'May be taken back' }
    }
  ],
  steps: [{ name: 'queue', label: 'Queue' }]
};

function step(part: Partial<IReportStep> = {}): IReportStep {
  return {
    step: 'reachable',
    state: 'ok',
    message: 'It answers.',
    hint: '',
    commands: [],
    fixes: [],
    took_s: 0.1,
    ...part
  };
}

describe('adding a target', () => {
  let bench: Bench;
  let service: TargetsService;
  let questions: QuestionsModel;
  let model: AddTarget;
  let report: ITargetReport;
  const actions = {
    onCancel: jest.fn(),
    onBack: jest.fn(),
    onKeep: jest.fn()
  };

  beforeEach(() => {
    jest.clearAllMocks();
    report = {
      target: 'gpu1',
      state: 'running',
      steps: [],
      task_id: 't1',
      started_at: 1,
      ended_at: null
    };
    bench = new Bench({
      'GET /questions': [],
      'GET /targets/candidates': [CANDIDATE],
      'GET /target-kinds': [SSH, QUEUE],
      'POST /targets': (body: unknown) =>
        target({ name: (body as { name: string }).name, state: 'idle' }),
      'POST /targets/gpu1/test': { id: 't1' },
      'GET /targets/gpu1/report': () => report,
      'POST /tasks/t1/cancel': { id: 't1' },
      'DELETE /targets/gpu1': { name: 'gpu1', message: '', kernels_left: [] }
    });
    service = new TargetsService(bench.core.api);
    questions = new QuestionsModel(bench.core, service);
    model = new AddTarget(bench.core, service);
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

  async function tell(part: Partial<ITargetReport>): Promise<void> {
    report = { ...report, ...part };
    bench.change('target', 'gpu1');
    await act(() => settle());
  }

  const button = (name: string) =>
    screen.getByRole('button', { name }) as HTMLButtonElement;

  it('proposes a name until one is typed', async () => {
    await model.load();
    model.setHost('ada@Gpu1.Example.org:2222');
    expect(model.fields.name).toBe('gpu1.example.org');
    model.setHost('GPU 1');
    expect(model.fields.name).toBe('gpu-1');
    model.setName('mine');
    model.setHost('other');
    expect(model.fields.name).toBe('mine');
    model.setName('Not Good');
    expect(model.nameProblem).not.toBe('');
    expect(model.valid).toBe(false);
  });

  it('checks a host and a name by the patterns of the server', async () => {
    await model.load();
    const [host] = model.kind.fields;
    const problems = ['gpu 1', '-gpu', 'UPPER@gpu1', 'a;b', 'ada@gpu1:22'].map(
      text => {
        model.setHost(text);
        return model.problem(host) !== '';
      }
    );
    expect(problems).toEqual([true, true, true, true, false]);
    expect(model.valid).toBe(true);
    model.setName('candidates');
    expect(model.nameProblem).not.toBe('');
  });

  it('says what is wrong with a host while it is typed, after a pause', async () => {
    render(<Shown />);
    await act(() => model.load());
    const host = screen.getByLabelText('Host');
    fireEvent.change(host, { target: { value: 'gpu 1' } });
    expect(host.getAttribute('aria-invalid')).toBeNull();
    const said = await screen.findByText('Give a name without spaces.');
    expect(host.getAttribute('aria-invalid')).toBe('true');
    expect(host.getAttribute('aria-describedby')).toBe(said.id);
    expect(button('Add and test').disabled).toBe(true);
    fireEvent.change(host, { target: { value: 'gpu1' } });
    expect(host.getAttribute('aria-invalid')).toBeNull();
    expect(button('Add and test').disabled).toBe(false);
  });

  it('asks what the kind of target declares, within the administrator’s limits', async () => {
    render(<Shown />);
    await act(() => model.load());
    fireEvent.change(screen.getByLabelText('Kind'), {
      target: { value: 'queue' }
    });
    const type = (label: string, value: string) =>
      fireEvent.change(screen.getByLabelText(label), { target: { value } });
    type('Name', 'gpu1');
    expect(button('Add and test').disabled).toBe(true);
    type('Partition', ' gpu ');
    expect(button('Add and test').disabled).toBe(false);
    type('Hours', '48');
    expect(await screen.findByText('At most a day.')).toBeTruthy();
    expect(button('Add and test').disabled).toBe(true);
    type('Hours', '12');
    const tier = screen.getByLabelText<HTMLSelectElement>('Tier');
    expect([tier.disabled, tier.value]).toEqual([true, 'spot']);
    screen.getByText('The administrator of this Lab set this value.');
    screen.getByText(/The administrator’s default. .* allows up to 24./);
    fireEvent.click(button('Add and test'));
    await act(() => settle());
    expect(bench.bodies).toContainEqual(
      expect.objectContaining({
        kind: 'queue',
        config: { partition: 'gpu', hours: 12 }
      })
    );
    expect(screen.getAllByRole('listitem')[0].textContent).toContain('Queue');
  });

  it('takes addresses apart', () => {
    expect(address(' ada@gpu1:2222 ')).toEqual({
      user: 'ada',
      host: 'gpu1',
      port: 2222
    });
    expect(address('gpu1')).toEqual({ user: '', host: 'gpu1', port: 0 });
    expect(address('ada@fe80::1').host).toBe('fe80::1');
    expect(defaultName('Größe_1!')).toBe('groe_1');
  });

  it('takes prices as people write them', () => {
    model.setHost('gpu1');
    for (const [price, valid] of [
      ['2.10', true],
      ['2,1', true],
      ['', true],
      ['-1', false],
      ['much', false]
    ] as const) {
      model.set({ price });
      expect([price, model.valid]).toEqual([price, valid]);
      expect(model.priceProblem === '').toBe(valid);
    }
  });

  it('shows the steps of the test as they are done', async () => {
    render(<Shown />);
    expect(button('Add and test').disabled).toBe(true);
    fireEvent.change(screen.getByLabelText('Host'), {
      target: { value: 'gpu1' }
    });
    fireEvent.click(button('Add and test'));
    await act(() => settle());
    expect(bench.bodies).toContainEqual(
      expect.objectContaining({
        name: 'gpu1',
        kind: 'ssh',
        config: { host: 'gpu1', user: '', port: 0 }
      })
    );
    expect(screen.getAllByRole('listitem')[0].textContent).toContain('running');
    await tell({ steps: [step()] });
    const [first, second] = screen.getAllByRole('listitem');
    expect(first.textContent).toContain('It answers.');
    expect(second.textContent).toContain('running');
    await tell({
      state: 'ok',
      steps: [step(), step({ step: 'login', message: 'Logged in.' })]
    });
    expect(screen.getAllByRole('listitem')).toHaveLength(2);
    expect(screen.getByRole('status').textContent).toContain('is ready');
    fireEvent.click(button('Done'));
    expect(actions.onKeep).toHaveBeenCalledTimes(1);
    expect(bench.count('DELETE /targets/gpu1')).toBe(0);
  });

  it('asks about the folder under More, as the settings do, and sends it with the target', async () => {
    render(<Shown />);
    fireEvent.change(screen.getByLabelText('Host'), {
      target: { value: 'gpu1' }
    });
    fireEvent.click(screen.getByText('More'));
    const field = (label: string) =>
      screen.getByLabelText<HTMLInputElement>(label);
    const type = (label: string, value: string) =>
      fireEvent.change(field(label), { target: { value } });
    const sends =
      'Send the notebook’s folder to the host before a kernel starts';
    expect(field(sends).checked).toBe(true);
    expect(field('Ask above (MiB)').value).toBe('200');
    expect(field('Ask above (files)').value).toBe('5000');
    type('Ask above (MiB)', '');
    expect(button('Add and test').disabled).toBe(true);
    type('Ask above (MiB)', '1.5');
    type('Ask above (files)', '-1');
    expect(screen.getByText('Enter a whole number of 0 or more.')).toBeTruthy();
    expect(button('Add and test').disabled).toBe(true);
    fireEvent.click(field(sends));
    expect(screen.queryByLabelText('Ask above (files)')).toBeNull();
    expect(button('Add and test').disabled).toBe(false);
    fireEvent.click(field(sends));
    type('Ask above (files)', '10');
    fireEvent.click(button('Add and test'));
    await act(() => settle());
    expect(bench.bodies).toContainEqual(
      expect.objectContaining({
        policy: expect.objectContaining({
          folder: 'sync',
          folder_max_files: 10,
          folder_max_bytes: 1.5 * 1024 ** 2
        })
      })
    );
  });

  it('says what to do where a step fails, and goes back without a trace', async () => {
    model.setHost('gpu1');
    render(<Shown />);
    await act(() => model.add());
    await tell({
      state: 'failed',
      steps: [
        step({
          step: 'ipykernel',
          state: 'failed',
          message: 'It is missing.',
          hint: 'Install it.'
        })
      ]
    });
    expect(screen.getByText('Install it.')).toBeTruthy();
    expect(button('Add anyway')).toBeTruthy();
    await act(() => model.back());
    expect(bench.count('DELETE /targets/gpu1')).toBe(1);
    expect(screen.getByLabelText<HTMLInputElement>('Host').value).toBe('gpu1');
    expect(button('Add and test').disabled).toBe(false);
  });

  it('leaves nothing behind when it is cancelled', async () => {
    model.setHost('gpu1');
    await model.add();
    await model.discard();
    expect(bench.count('POST /tasks/t1/cancel')).toBe(1);
    expect(bench.count('DELETE /targets/gpu1')).toBe(1);
  });

  it('removes it also where the test has just ended', async () => {
    bench.answers['POST /tasks/t1/cancel'] = new Refusal(409, 'conflict', '');
    model.setHost('gpu1');
    await model.add();
    await model.discard();
    expect(bench.count('DELETE /targets/gpu1')).toBe(1);
  });

  it('keeps the fields where it is refused', async () => {
    bench.answers['POST /targets'] = new Refusal(
      409,
      'conflict',
      'There is one of that name.',
      'Choose another.'
    );
    model.setHost('gpu1');
    render(<Shown />);
    await act(() => model.add());
    expect(screen.getByText('There is one of that name.')).toBeTruthy();
    expect(screen.getByLabelText('Host')).toBeTruthy();
    expect(bench.count('POST /targets/gpu1/test')).toBe(0);
  });

  it('says that the fields are kept while the server is away', async () => {
    bench.answers['POST /targets'] = () => {
      throw new Error('refused');
    };
    model.setHost('gpu1');
    render(<Shown />);
    await act(() => model.add());
    expect(
      screen.getByText(
        'The fields are kept. Press “Add and test” again when the server answers.'
      )
    ).toBeTruthy();
  });

  it('does not take the report of an earlier test for its own', async () => {
    report = { ...report, state: 'ok', task_id: 'earlier' };
    model.setHost('gpu1');
    await model.add();
    expect(model.stage).toBe('testing');
    await tell({ task_id: 't1', state: 'warning' });
    expect(model.outcome).toBe('warning');
    expect(model.works).toBe(true);
  });

  it('tests one that is there, asks within the dialog, and never removes it', async () => {
    const test = new AddTarget(bench.core, service, { existing: 'gpu1' });
    const unmute = jest.fn();
    const mute = jest.fn(() => new DisposableDelegate(unmute));
    const done = openAddDialog({
      model: test,
      questions,
      tasks: { mute, offer: jest.fn() },
      trans
    });
    await act(() => settle());
    bench.answers['GET /questions'] = [
      {
        id: 'q1',
        target: 'gpu1',
        kind: 'passphrase',
        text: 'Passphrase for key:',
        echo: false,
        fingerprint: '',
        key_type: '',
        asked_at: 1,
        expires_at: 2
      }
    ];
    bench.change('question');
    await act(() => settle());
    expect(screen.getByLabelText('Passphrase for key:')).toBeTruthy();
    const steps = Array.from(document.querySelectorAll('.gol-Step')).map(
      ({ textContent }) => textContent
    );
    expect(steps.slice(0, 4)).toEqual([
      'Reachablepassed',
      'Host keypassed',
      'Loginwaiting for your answer',
      'Pythonnot started'
    ]);
    bench.answers['GET /questions'] = [];
    bench.change('question');
    await act(() => settle());
    fireEvent.click(
      screen.getByRole('button', { name: 'Cancel', hidden: true })
    );
    await act(() => settle());
    await expect(done).resolves.toBeUndefined();
    expect(bench.count('POST /tasks/t1/cancel')).toBe(1);
    expect(bench.count('DELETE /targets/gpu1')).toBe(0);
    expect(questions.isHosted).toBe(false);
    expect(mute.mock.calls).toEqual([['target:gpu1']]);
    expect(unmute).not.toHaveBeenCalled();
    await act(() => settle(3100));
    expect(unmute).toHaveBeenCalledTimes(1);
  });
});
