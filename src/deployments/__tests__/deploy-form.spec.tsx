import { Clipboard } from '@jupyterlab/apputils';
import {
  act,
  cleanup,
  fireEvent,
  render,
  screen,
  waitFor
} from '@testing-library/react';
import * as React from 'react';

import { openForm } from '../../core/ui/form-dialog';
import {
  page,
  Bench,
  Refusal,
  settle,
  trans
} from '../../tasks/__tests__/support';
import { DeployForm, defaultName } from '../deploy';
import type { IScaleTexts } from '../deploy-scale';
import { AS_BEFORE } from '../deploy-scale';
import { DeploymentsModel } from '../model';
import type { IDeployCheck } from '../service';
import { DeployFields } from '../view/deploy-form';
import { deployment } from './support';

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

describe('the deploy dialog', () => {
  let bench: Bench;
  let model: DeploymentsModel;

  beforeEach(() => {
    bench = new Bench({
      'GET /models': page([registered]),
      'POST /deployment-checks': check(),
      'GET /deployment-settings': [],
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

  it('sends replicas and sleep as the command does, and says what is wrong with them', async () => {
    const form = new DeployForm(model.service, {}, trans);
    await form.load();
    const wrong = (scale: Partial<IScaleTexts>, settings = {}) => {
      form.set({ scale: { ...AS_BEFORE, ...scale }, settings });
      expect(form.valid).toBe(Object.keys(form.scaleProblems).length === 0);
      return Object.keys(form.scaleProblems);
    };
    expect(wrong({ least: '0', most: '65' })).toEqual(['least', 'most']);
    expect(wrong({ least: '3', most: '2' })).toEqual(['most']);
    expect(wrong({ concurrency: '0' })).toEqual(['concurrency']);
    expect(wrong({ sleep: '-1' })).toEqual(['sleep']);
    expect(wrong({ sleep: '5' }, { workers: '2' })).toEqual(['sleep']);
    expect(wrong({ most: '3', concurrency: '8', sleep: '1.5' })).toEqual([]);
    await form.submit();
    expect(posted()[0]).toMatchObject({
      scale: { min: 1, max: 3, concurrency: 8 },
      sleep_minutes: 1.5
    });
  });

  it('keeps what was typed while the server is away, and checks again when it is back', async () => {
    const answer = bench.answers['POST /deployment-checks'];
    bench.answers['POST /deployment-checks'] = () => {
      throw new TypeError('Failed to fetch');
    };
    const form = new DeployForm(model.service, {}, trans);
    await form.load();
    const done = openForm({
      title: 'Deploy',
      form,
      render: () => <DeployFields form={form} trans={trans} />,
      action: 'Deploy',
      trans
    });
    const alert = () => document.querySelector('[role="alert"]')?.textContent;
    const told = (words: string) =>
      waitFor(() => expect(alert()).toContain(words), { timeout: 5000 });
    await told('The fields are kept. Check that JupyterLab');
    bench.answers['POST /deployment-checks'] = answer;
    fireEvent.click(screen.getByText('Check again'));
    await waitFor(() => expect(alert()).toBe(''), { timeout: 5000 });
    bench.answers['POST /deployments'] = () => {
      throw new TypeError('Failed to fetch');
    };
    await form.submit();
    await told('Press “Deploy” again when the server answers.');
    bench.answers['POST /deployments'] = deployment();
    document
      .querySelector<HTMLButtonElement>('.jp-Dialog .jp-mod-accept')!
      .click();
    await expect(done).resolves.toMatchObject({ name: 'digits' });
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
