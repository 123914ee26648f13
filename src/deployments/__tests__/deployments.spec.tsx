import { Clipboard } from '@jupyterlab/apputils';
import {
  act,
  cleanup,
  fireEvent,
  render,
  screen
} from '@testing-library/react';
import * as React from 'react';

import { FakeSocket } from '../../core/__tests__/fake-socket';
import { openForm } from '../../core/ui/form-dialog';
import type { IDriven } from '../../panel/tokens';
import {
  page,
  Bench,
  Refusal,
  settle,
  trans
} from '../../tasks/__tests__/support';
import { DeployForm, defaultName } from '../deploy';
import { DeploymentsModel, curlCommand } from '../model';
import type { IDeployCheck, IDeployment, IRollout } from '../service';
import { DeployFields } from '../view/deploy-form';
import { DeploymentsSection } from '../view/section';

function deployment(part: Partial<IDeployment> = {}): IDeployment {
  return {
    name: 'digits',
    model: 'digits',
    version: '2',
    state: 'running',
    url: 'http://127.0.0.1:4000',
    message: '',
    hint: '',
    target: 'this machine',
    requests: 12,
    errors: 0,
    latency_ms: 1.5,
    outlives_server: true,
    task_id: '',
    created_at: Date.now() / 1000,
    lease_until: Date.now() / 1000 + 23.5 * 3600,
    file: '',
    revision: 1,
    updating_to: 0,
    revisions: [],
    reached_by: '',
    rollout: null,
    serving: null,
    settings: {},
    ...part
  };
}

function check(part: Partial<IDeployCheck> = {}): IDeployCheck {
  return {
    model: 'digits',
    version: '2',
    trusted: true,
    reason: 'Your run recorded exactly these files.',
    flavors: ['sklearn'],
    loader: 'mlflow.sklearn',
    holds_pickle: false,
    verdict: 'data',
    title: 'This model comes from an unknown origin.',
    findings: ['The files hold data only.'],
    advice: 'Load it only if you trust who made it.',
    signature: null,
    engine: '',
    memory: '',
    files: [{ path: 'model.skops', size_bytes: 2048, sha256: 'ab' }],
    digest: 'sha256:ab',
    environment: 'present',
    missing_requirements: [],
    package_sources: [],
    outlives_server: true,
    warning: '',
    update: null,
    where: '',
    ...part
  };
}

const registered = {
  name: 'digits',
  description: '',
  updated_at: null,
  versions: ['2', '1'].map(version => ({
    name: 'digits',
    version,
    run_id: '',
    source: '',
    status: 'READY',
    created_at: null,
    aliases: [],
    flavors: []
  }))
};

describe('the deployments section', () => {
  let bench: Bench;
  let model: DeploymentsModel;
  const driven = new Set<IDriven>();
  const actions = {
    onDeploy: jest.fn(),
    onStop: jest.fn(),
    onRenew: jest.fn(),
    onDelete: jest.fn(),
    onDeployAgain: jest.fn(),
    onLineage: jest.fn(),
    onTry: jest.fn(),
    drive: (each: IDriven) => {
      driven.add(each);
      each.visible = true;
      return {
        dispose: () => {
          driven.delete(each);
          each.visible = false;
        }
      };
    }
  };

  beforeEach(() => {
    jest.clearAllMocks();
    bench = new Bench({
      'GET /deployments': page([deployment()]),
      'GET /deployments/digits/log': { name: 'digits', lines: ['one', 'two'] }
    });
    model = new DeploymentsModel(bench.core);
  });

  afterEach(() => {
    cleanup();
    model.dispose();
    bench.dispose();
  });

  async function show(): Promise<void> {
    model.list.visible = true;
    render(<DeploymentsSection {...{ model, trans }} {...actions} />);
    await act(() => settle());
  }

  const row = (name: string) => screen.getByRole('button', { name });

  it('says what to do when nothing is deployed', async () => {
    bench.answers['GET /deployments'] = page([]);
    await show();
    fireEvent.click(row('Deploy a model…'));
    expect(actions.onDeploy).toHaveBeenCalledTimes(1);
  });

  it('shows where it answers, the lease, and figures as they happen', async () => {
    await show();
    expect(screen.getByText('127.0.0.1:4000')).toBeTruthy();
    expect(screen.getByText('ends in 23 h')).toBeTruthy();
    expect(screen.getByText('12')).toBeTruthy();
    expect(FakeSocket.latest?.topics).toContain('deployment:digits');
    act(() =>
      FakeSocket.latest!.tell('deployment:digits', {
        requests: 1500,
        errors: 2,
        latency_ms: 3,
        lines: []
      })
    );
    expect(
      screen.getByText(`${(1500).toLocaleString()}, 2 errors`)
    ).toBeTruthy();
    expect(screen.getByText('3 ms (median)')).toBeTruthy();
    fireEvent.click(row('Stop'));
    expect(actions.onStop).toHaveBeenCalledTimes(1);
    fireEvent.click(row('Extend the time of digits'));
    expect(actions.onRenew).toHaveBeenCalledTimes(1);
  });

  it('shows the settings of a model', async () => {
    bench.answers['GET /deployments'] = page([
      deployment({ settings: { batch: '32', workers: '2' } })
    ]);
    await show();
    expect(screen.getByText('batch 32, workers 2')).toBeTruthy();
  });

  it('shows the engine of a language model with its figures', async () => {
    bench.answers['GET /deployments'] = page([
      deployment({
        serving: {
          engine: 'llama.cpp',
          settings: { context: '512', parallel: '2' },
          adapter: 'tuned@ab12cd34',
          tokens: {
            prompt_tokens: 64,
            completion_tokens: 48,
            tokens_per_s: 41.5,
            first_token_ms: 203.4,
            kv_use: 0.25,
            waiting: 0
          }
        }
      })
    ]);
    await show();
    for (const text of [
      'llama.cpp: context 512, parallel 2',
      'tuned@ab12cd34',
      '41.5 tokens/s (median)',
      '203 ms (median)',
      '64 in prompts, 48 in answers',
      '25 %'
    ]) {
      expect(screen.getByText(text)).toBeTruthy();
    }
  });

  it('lists the revisions and goes back once', async () => {
    const revision = (number: number, part: object) => ({
      number,
      model: 'digits',
      version: String(number),
      state: 'running' as const,
      message: '',
      is_current: false,
      is_update: false,
      weight: 0,
      requests: 5,
      errors: 0,
      latency_ms: 1.25,
      created_at: 1,
      lease_until: 2e9,
      serving: null,
      replicas: null,
      settings: {},
      ...part
    });
    bench.answers['GET /deployments'] = page([
      deployment({
        revision: 2,
        message: 'Revision 3 (digits version 3) did not start: no.',
        revisions: [
          revision(2, {
            is_current: true,
            weight: 100,
            errors: 1,
            replicas: { ready: 2, asked: 2, min: 1, max: 3, why: '' }
          }),
          revision(1, {})
        ]
      })
    ]);
    bench.answers['POST /deployments/digits/rollback'] = deployment();
    await show();
    expect(screen.getByText('r2: digits v2')).toBeTruthy();
    expect(
      screen.getByText(
        '100 % of requests · 5 requests · 2 of 1–3 replicas · 1 error · 1.25 ms (p50)'
      )
    ).toBeTruthy();
    expect(screen.getByText(/did not start: no/)).toBeTruthy();
    const back = screen.getAllByRole('button', { name: 'Roll back' });
    expect(back).toHaveLength(1);
    await act(async () => {
      fireEvent.click(back[0]);
      fireEvent.click(back[0]);
      await settle();
    });
    const at = bench.calls.indexOf('POST /deployments/digits/rollback');
    expect(bench.bodies[at]).toEqual({ to: 1, idempotency_key: '' });
    expect(bench.calls.filter(each => each.startsWith('POST'))).toHaveLength(1);
  });

  it('says what differs from its file, or why that is unknown', async () => {
    bench.answers['GET /deployments'] = page([
      deployment({ file: 'prod/digits.yaml' })
    ]);
    bench.answers['GET /deployments/digits/file'] = {
      name: 'digits',
      text: '',
      now: '',
      file: 'prod/digits.yaml',
      applied_at: 1,
      drift: [{ what: 'version', now: '4', file: '3' }],
      problem: ''
    };
    await show();
    expect(screen.getByText('prod/digits.yaml')).toBeTruthy();
    expect(screen.getByText('version: 4 → 3')).toBeTruthy();
    bench.answers['GET /deployments/digits/file'] = new Refusal(
      503,
      'unavailable',
      'MLflow is away.'
    );
    bench.answers['GET /deployments'] = page([
      deployment({ file: 'prod/digits.yaml', revision: 2 })
    ]);
    await act(async () => {
      await model.list.refresh();
      await settle();
    });
    expect(screen.getByText(/is unknown: MLflow is away/)).toBeTruthy();
  });

  it('tells an update in progress and cancels it', async () => {
    bench.answers['GET /deployments'] = page([
      deployment({ updating_to: 2, message: 'Updating to revision 2' })
    ]);
    bench.answers['POST /deployments/digits/rollback'] = new Refusal(
      409,
      'conflict',
      'It is done already.'
    );
    await show();
    expect(screen.getByText('Updating to revision 2')).toBeTruthy();
    await act(async () => {
      fireEvent.click(row('Cancel the update'));
      await settle();
    });
    expect(screen.getByText('It is done already.')).toBeTruthy();
  });

  it('shows a rollout with its evidence, and what a person decides about it', async () => {
    const point = (s: number) => ({
      s,
      traffic: 10,
      metrics: { failures: [-0.1, 0.01, 0.2 / s] }
    });
    const rollout: IRollout = {
      id: '7',
      kind: 'canary',
      state: 'running',
      unit: 'request',
      champion: 1,
      candidate: 2,
      step: 2,
      steps: [1, 10, 50],
      traffic: 10,
      elapsed_s: 60,
      left_s: 7200,
      arms: [
        { requests: 1900, failures: 19, p50_ms: 3.14159, p95_ms: 9 },
        { requests: 210, failures: 3, p50_ms: null, p95_ms: null }
      ],
      metrics: [
        {
          name: 'failures',
          kind: 'difference',
          estimate: 0.01,
          low: -0.1,
          high: 0.1,
          margin: 0.01,
          needed: 0.02,
          passed: false,
          harm: false,
          says: 'Failures: 1.43% with the candidate.'
        }
      ],
      excluded: 'Excluded so far: more than 10 points more failures.',
      next: '50 % of the requests. Waits for: failures within the margin.',
      why: '',
      by: '',
      ended_at: 0,
      shadow: null,
      history: []
    };
    bench.answers['GET /deployments'] = page([
      deployment({ updating_to: 2, message: 'Canary', rollout })
    ]);
    bench.answers['GET /deployments/digits/rollout'] = {
      ...rollout,
      history: [point(1), point(60)]
    };
    bench.answers['POST /deployments/digits/rollout/decision'] = deployment();
    await show();
    const shown = screen.getByRole('region', { name: 'Rollout of digits' });
    expect(shown.textContent).toContain('2 of 3: 10 % of requests');
    expect(shown.textContent).toContain(
      'Waits for: failures within the margin'
    );
    expect(
      screen.getByRole('row', { name: 'r1 1,900 19 3.14 9' })
    ).toBeTruthy();
    expect(
      screen.queryByRole('button', { name: /Cancel the update/ })
    ).toBeNull();
    fireEvent.click(row('Evidence'));
    await act(() => settle());
    expect(
      screen.getByRole('img', { name: /Failures, new less before/ })
    ).toBeTruthy();
    fireEvent.click(screen.getByRole('button', { name: /^Hold/ }));
    await act(() => settle());
    const at = bench.calls.indexOf('POST /deployments/digits/rollout/decision');
    expect(bench.bodies[at]).toEqual({ decision: 'hold', rollout: '7' });
  });

  it('keeps the log open when the server goes away and comes back', async () => {
    await show();
    await act(async () => {
      fireEvent.click(row('Log'));
      await settle();
    });
    const log = screen.getByRole('log');
    bench.answers['GET /deployments'] = new Refusal(
      503,
      'unavailable',
      'Away.'
    );
    await act(() => model.list.refresh());
    expect(screen.getByText('Deployments cannot be read.')).toBeTruthy();
    expect(screen.getByRole('log')).toBe(log);
    bench.answers['GET /deployments'] = page([deployment()]);
    await act(() => model.list.refresh());
    expect(screen.queryByText('Deployments cannot be read.')).toBeNull();
    expect(screen.getByRole('log')).toBe(log);
  });

  it('follows the log without repeating what the answer held', async () => {
    await show();
    fireEvent.click(row('Log'));
    const log = () => screen.getByRole('log').textContent;
    expect(log()).toBe('one\ntwo');
    const tell = (...lines: string[]) =>
      act(() => FakeSocket.latest!.tell('deployment:digits', { lines }));
    tell('two', 'three');
    expect(log()).toBe('one\ntwo\nthree');
    tell('three');
    expect(log()).toBe('one\ntwo\nthree\nthree');
  });

  it('hears nothing once the row is closed', async () => {
    await show();
    fireEvent.click(screen.getByRole('button', { name: /^digits/ }));
    expect(driven.size).toBe(0);
    expect(FakeSocket.latest?.topics ?? []).not.toContain('deployment:digits');
  });

  it('shows why it failed, what to do, and the end of its log', async () => {
    bench.answers['GET /deployments'] = page([
      deployment({
        state: 'failed',
        url: '',
        message: 'The model could not be loaded.',
        hint: 'Add timm.'
      })
    ]);
    await show();
    expect(screen.getByText('The model could not be loaded.')).toBeTruthy();
    expect(screen.getByText('Add timm.')).toBeTruthy();
    expect(screen.getByRole('log').textContent).toBe('one\ntwo');
    fireEvent.click(row('Delete the deployment digits'));
    expect(actions.onDelete).toHaveBeenCalledTimes(1);
    expect(screen.queryByRole('button', { name: 'Stop' })).toBeNull();
  });

  it('asks for the key when a curl command is copied, and not before', async () => {
    const copied = jest
      .spyOn(Clipboard, 'copyToSystem')
      .mockImplementation(() => undefined);
    const keys = () => bench.count('GET /deployments/digits/key');
    bench.answers['GET /deployments/digits/key'] = {
      name: 'digits',
      key: 'secret'
    };
    await show();
    expect(keys()).toBe(0);
    await act(async () => {
      fireEvent.click(row('Copy curl'));
      await settle();
    });
    expect(keys()).toBe(1);
    expect(copied.mock.calls[0][0]).toContain('Authorization: Bearer secret');
    expect(document.body.innerHTML).not.toContain('secret');
    expect(screen.getByRole('button', { name: 'Copied' })).toBeTruthy();
  });

  it('quotes the curl command for a shell', () => {
    const command = curlCommand({ url: 'http://h:1', key: "it's" });
    expect(command).toContain("'http://h:1/invocations'");
    expect(command).toContain("'Authorization: Bearer it'\\''s'");
  });
});

describe('the deploy dialog', () => {
  let bench: Bench;
  let model: DeploymentsModel;

  beforeEach(() => {
    bench = new Bench({
      'GET /models': page([registered]),
      'POST /deployment-checks': check(),
      'POST /deployments': deployment()
    });
    model = new DeploymentsModel(bench.core);
  });

  afterEach(() => {
    cleanup();
    model.dispose();
    bench.dispose();
  });

  const posted = () =>
    bench.bodies.filter((_, at) => bench.calls[at] === 'POST /deployments');

  it('examines the newest version and deploys once', async () => {
    const form = new DeployForm(model.service, {}, trans);
    await form.load();
    expect(form.fields.version).toBe('2');
    expect(form.valid).toBe(true);
    await Promise.all([form.submit(), form.submit()]);
    await form.submit();
    expect(posted()).toEqual([
      expect.objectContaining({
        model: 'digits',
        version: '2',
        name: 'digits',
        trust: '',
        replace_first: false,
        on: 'this machine',
        rollout: null,
        sleep_minutes: 0,
        scale: null,
        idempotency_key: form.key
      })
    ]);
  });

  it('asks for trust where the origin is unknown, for each version anew', async () => {
    bench.answers['POST /deployment-checks'] = check({
      trusted: false,
      reason: 'No run of yours recorded these files.',
      verdict: 'code',
      title: 'Loading this model runs code that came with it: model.pkl.',
      findings: ['model.pkl: a pickle: loading it can run any code.'],
      advice: 'Load it only if you trust who made it. Safer: skops.',
      environment: 'build',
      missing_requirements: ['timm==1.0'],
      package_sources: ['--index-url https://elsewhere'],
      outlives_server: false,
      warning: 'It ends when this Jupyter server ends.'
    });
    const form = new DeployForm(model.service, { model: 'digits' }, trans);
    await form.load();
    expect(form.valid).toBe(false);
    render(<DeployFields form={form} trans={trans} />);
    for (const text of [
      'Loading this model runs code that came with it: model.pkl.',
      'model.pkl: a pickle: loading it can run any code.',
      'No run of yours recorded these files.',
      /only if you trust who made it/,
      /timm==1.0/,
      '--index-url https://elsewhere',
      'mlflow.sklearn',
      'model.skops',
      '1 file, 2.0 KiB',
      'It ends when this Jupyter server ends.'
    ]) {
      expect(screen.getByText(text)).toBeTruthy();
    }
    fireEvent.click(
      screen.getByRole('checkbox', { name: /I trust this model/ })
    );
    expect(form.valid).toBe(true);
    await form.choose('digits', '1');
    expect(form.fields.trust).toBe(false);
    expect(form.valid).toBe(false);
  });

  it('does not offer to trust files that are damaged or misleading', async () => {
    bench.answers['POST /deployment-checks'] = check({
      trusted: false,
      verdict: 'refused'
    });
    const form = new DeployForm(model.service, { model: 'digits' }, trans);
    await form.load();
    form.set({ trust: true });
    expect(form.valid).toBe(false);
    render(<DeployFields form={form} trans={trans} />);
    expect(screen.queryByRole('checkbox')).toBeNull();
  });

  it('says when an update does not fit, and stops the earlier revision if asked', async () => {
    const update = {
      name: 'digits',
      number: 2,
      serving: 1,
      fits: false,
      needs_bytes: 2,
      free_bytes: 1,
      needs_gpus: 0,
      free_gpus: 0,
      message: 'It does not fit.',
      downtime: 'Nobody is answered.',
      changes: [{ what: 'version', now: '1', file: '2' }],
      file: 'prod/digits.yaml'
    };
    bench.answers['POST /deployment-checks'] = check({ update });
    const form = new DeployForm(model.service, {}, trans);
    await act(() => form.load());
    render(<DeployFields form={form} trans={trans} />);
    expect(screen.getByText('It does not fit.')).toBeTruthy();
    expect(screen.getByText('version: 1 → 2')).toBeTruthy();
    expect(screen.getByText(/applied from prod\/digits.yaml/)).toBeTruthy();
    expect(form.valid).toBe(false);
    act(() => {
      fireEvent.click(screen.getByLabelText('Stop revision 1 first'));
    });
    expect(form.valid).toBe(true);
  });

  it('copies the file of what it would deploy', async () => {
    const copied = jest
      .spyOn(Clipboard, 'copyToSystem')
      .mockImplementation(() => undefined);
    copied.mockClear();
    bench.answers['GET /deployments'] = page([]);
    bench.answers['POST /deployment-file-drafts'] = {
      text: 'kind: Deployment'
    };
    const form = new DeployForm(model.service, { name: 'mine' }, trans);
    await act(() => form.load());
    render(<DeployFields form={form} trans={trans} />);
    await act(async () => {
      fireEvent.click(screen.getByText('Copy as file'));
      await settle();
    });
    expect(copied).toHaveBeenCalledWith('kind: Deployment');
    const at = bench.calls.indexOf('POST /deployment-file-drafts');
    expect(bench.bodies[at]).toMatchObject({
      model: 'digits',
      version: '2',
      name: 'mine',
      on: 'this machine',
      pinned: true,
      rollout: null
    });
  });

  it('sends trust for the files that were shown, and asks anew for others', async () => {
    const other = check({ trusted: false, digest: 'sha256:cd' });
    bench.answers['POST /deployment-checks'] = check({ trusted: false });
    bench.answers['POST /deployments'] = new Refusal(
      409,
      'confirmation_needed',
      'The files of digits version 2 are not those that you confirmed.',
      'Look at its files.',
      { check: other }
    );
    const form = new DeployForm(model.service, {}, trans);
    await form.load();
    form.set({ trust: true });
    expect(await form.submit()).toBe(false);
    expect(posted()[0]).toMatchObject({ trust: 'sha256:ab' });
    expect(form.snapshot.error?.message).toContain('not those');
    expect(form.fields).toMatchObject({ trust: false, check: other });
    form.set({ trust: true });
    await form.submit();
    expect(posted()[1]).toMatchObject({ trust: 'sha256:cd' });
  });

  it('keeps a name that the person gave, and refuses a bad one', async () => {
    const form = new DeployForm(model.service, {}, trans);
    await form.load();
    form.rename('../up');
    expect(form.nameProblem).not.toBe('');
    expect(form.valid).toBe(false);
    form.rename('mine');
    await form.choose('digits', '1');
    expect(form.fields.name).toBe('mine');
  });

  it('takes a model from the hub, and settings with their meanings', async () => {
    bench.answers['POST /deployment-checks'] = check({
      engine: 'llama.cpp',
      memory: 'It needs weights 98 MB.'
    });
    bench.answers['GET /deployment-settings'] = [
      {
        name: 'context',
        meaning: 'Tokens of one request',
        kind: 'number',
        engines: ['llama.cpp'],
        least: 16,
        most: 1000,
        choices: []
      }
    ];
    const form = new DeployForm(model.service, {}, trans);
    await form.load();
    await form.from('hub');
    expect(form.valid).toBe(false);
    await form.take('ORG/Small-GGUF@main');
    render(<DeployFields form={form} trans={trans} />);
    expect(screen.getByText('It needs weights 98 MB.')).toBeTruthy();
    fireEvent.click(screen.getByText('Settings of llama.cpp'));
    const field = screen.getByLabelText('context');
    expect(screen.getByText('Tokens of one request')).toBeTruthy();
    fireEvent.change(field, { target: { value: '512' } });
    fireEvent.blur(field);
    await settle();
    await form.submit();
    expect(posted()[0]).toMatchObject({
      model: 'hf:ORG/Small-GGUF@main',
      version: '',
      name: 'Small-GGUF',
      settings: { context: '512' }
    });
  });

  it('fetches a large repository before its check, with the progress', async () => {
    const asked = { model: 'hf:acme/Small-GGUF@abc' };
    const needed = 'The files must be fetched first: 5.2 GB.';
    const task = { id: 't1', state: 'running', message: '1 GB of 5.2 GB' };
    bench.answers['POST /deployment-checks'] = new Refusal(
      409,
      'not_fetched',
      needed,
      '',
      { bytes: 5_200_000_000, fetch: asked }
    );
    const form = new DeployForm(model.service, {}, trans);
    await form.from('hub');
    await form.take('acme/Small-GGUF@main');
    expect(form.snapshot.error).toBeUndefined();
    expect(form.valid).toBe(false);
    render(<DeployFields form={form} trans={trans} />);
    screen.getByText(needed);
    bench.answers['POST /fetched-models'] = task;
    bench.answers['GET /tasks/t1'] = { ...task, progress: 0.2 };
    fireEvent.click(screen.getByRole('button', { name: /^Fetch / }));
    await act(settle);
    screen.getByText('1 GB of 5.2 GB');
    expect(screen.getByRole('progressbar', { name: 'Fetched' })).toHaveProperty(
      'value',
      0.2
    );
    screen.getByRole('button', { name: 'Cancel' });
    const at = bench.calls.indexOf('POST /fetched-models');
    expect(bench.bodies[at]).toEqual(asked);
    bench.answers['POST /deployment-checks'] = check();
    bench.answers['GET /tasks/t1'] = { ...task, state: 'done' };
    await act(async () => {
      await form.fields.fetching?.task.refresh();
      await settle();
    });
    expect(form.fields.check?.digest).toBe('sha256:ab');
    expect(form.fields.fetching).toBeNull();
  });

  it('gives a canary the steps that the person wrote', async () => {
    bench.answers['POST /deployments/digits/rollout/outlook'] = { lines: [] };
    bench.answers['POST /deployment-checks'] = check({
      update: {
        name: 'digits',
        number: 2,
        serving: 1,
        fits: true,
        needs_bytes: 1,
        free_bytes: 2,
        needs_gpus: 0,
        free_gpus: 0,
        message: '',
        downtime: '',
        changes: [],
        file: ''
      }
    });
    const form = new DeployForm(model.service, {}, trans);
    await form.load();
    await form.chooseRollout('canary');
    form.set({ steps: '50, 10' });
    expect(form.valid).toBe(false);
    form.set({ steps: '5, 50 %' });
    await form.submit();
    expect(posted()[0]).toMatchObject({
      rollout: { kind: 'canary', steps: [{ traffic: 5 }, { traffic: 50 }] }
    });
  });

  it('makes names as the server does', () => {
    expect(defaultName('très long/nom: 拡張')).toBe('tres-long-nom');
    expect(defaultName('拡張')).toBe('model');
    expect(defaultName('--a--')).toBe('a');
  });

  it('stays open with the reason until the server says yes', async () => {
    bench.answers['POST /deployments'] = new Refusal(
      409,
      'conflict',
      'A deployment named digits is running.',
      'Choose another name.'
    );
    const form = new DeployForm(model.service, {}, trans);
    await form.load();
    const done = openForm({
      title: 'Deploy',
      form,
      render: () => <DeployFields form={form} trans={trans} />,
      action: 'Deploy',
      trans
    });
    await settle();
    const accept = document.querySelector<HTMLButtonElement>(
      '.jp-Dialog .jp-mod-accept'
    )!;
    accept.click();
    accept.click();
    await settle();
    expect(posted()).toHaveLength(1);
    expect(document.querySelector('[role="alert"]')?.textContent).toContain(
      'Choose another name.'
    );
    bench.answers['POST /deployments'] = deployment({ name: 'other' });
    form.rename('other');
    accept.click();
    await expect(done).resolves.toMatchObject({ name: 'other' });
    expect(document.querySelector('.jp-Dialog')).toBeNull();
  });

  it('is left by Escape without sending anything', async () => {
    const form = new DeployForm(model.service, {}, trans);
    await form.load();
    const done = openForm({
      title: 'Deploy',
      form,
      render: () => <DeployFields form={form} trans={trans} />,
      action: 'Deploy',
      trans
    });
    await settle();
    (document.activeElement as HTMLElement).blur();
    document.body.dispatchEvent(
      new KeyboardEvent('keydown', { key: 'Escape', bubbles: true })
    );
    await expect(done).resolves.toBeUndefined();
    expect(posted()).toEqual([]);
  });

  it('is left by Escape while the focus is on what opened it', async () => {
    const opener = document.body.appendChild(document.createElement('button'));
    const form = new DeployForm(model.service, {}, trans);
    await form.load();
    const done = openForm({
      title: 'Deploy',
      form,
      render: () => <DeployFields form={form} trans={trans} />,
      action: 'Deploy',
      trans
    });
    await settle();
    opener.dispatchEvent(
      new KeyboardEvent('keydown', { key: 'Escape', bubbles: true })
    );
    await expect(done).resolves.toBeUndefined();
    opener.remove();
  });
});
