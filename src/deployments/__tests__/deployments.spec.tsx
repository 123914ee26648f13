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
import type { IDriven } from '../../panel/tokens';
import {
  page,
  Bench,
  Refusal,
  settle,
  trans
} from '../../tasks/__tests__/support';
import { DeploymentsModel, curlCommand } from '../model';
import type { IRollout } from '../service';
import { DeploymentsSection } from '../view/section';
import { deployment } from './support';

describe('the deployments section', () => {
  let bench: Bench;
  let model: DeploymentsModel;
  const driven = new Set<IDriven>();
  const actions = {
    onDeploy: jest.fn(),
    onApply: jest.fn(),
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
