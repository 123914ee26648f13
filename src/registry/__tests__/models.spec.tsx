import { RenderMimeRegistry } from '@jupyterlab/rendermime';
import {
  act,
  cleanup,
  fireEvent,
  render,
  screen
} from '@testing-library/react';
import * as React from 'react';

import {
  page,
  paged,
  Bench,
  Refusal,
  settle,
  trans
} from '../../tasks/__tests__/support';
import { AliasForm, aliasProblem } from '../alias';
import { deleteModel } from '../deleting';
import { describeParameters } from '../facts';
import { ModelsModel, nameProblem } from '../model';
import { RegisterForm } from '../register';
import type { IModelFacts, IModelVersion } from '../service';
import { AliasFields } from '../view/alias-form';
import { RegisterFields } from '../view/register-form';
import { ModelsSection } from '../view/section';

function version(part: Partial<IModelVersion> = {}): IModelVersion {
  return {
    name: 'digits',
    version: '2',
    run_id: 'abcdef0123456789',
    source: '',
    status: 'READY',
    created_at: Date.now() / 1000 - 120,
    aliases: [],
    flavors: ['pytorch', 'python_function'],
    origin: null,
    base_model: '',
    rollout: null,
    description: '',
    tags: {},
    ...part
  };
}

const run = (id: string, status = 'FINISHED') => ({
  run_id: id,
  experiment_id: '1',
  experiment: 'quickstart',
  name: `run ${id}`,
  status,
  started_at: null,
  ended_at: null,
  user: '',
  params: {},
  metrics: {},
  tags: {},
  source: '',
  git_commit: '',
  git_dirty: false
});

const detail = (id: string, ...models: string[]) => ({
  run: run(id),
  models: models.map(name => ({ name, uri: `models:/${name}`, flavors: [] })),
  artifacts: []
});

const facts: IModelFacts = {
  verdict: 'code',
  headline: 'Runs code when loaded: python_model.pkl',
  advice: 'Load it only if you trust who made it.',
  formats: ['safetensors', 'pickle'],
  size_bytes: 14_500_000_000,
  file_count: 2,
  files: [
    {
      path: 'python_model.pkl',
      size_bytes: 100,
      format: 'pickle',
      verdict: 'code',
      reason: 'It is a pickle.'
    },
    {
      path: 'model.safetensors',
      size_bytes: 14_000_000_000,
      format: 'safetensors',
      verdict: 'data',
      reason: ''
    }
  ],
  parameters: 7_241_732_096,
  dtypes: { bf16: 7_241_732_096 },
  quantization: '',
  architecture: '',
  context_length: null,
  flavors: [],
  signature: {
    inputs: [{ name: 'x', type: 'float32[?, 64]' }],
    outputs: [],
    params: []
  },
  input_example: '',
  requirements: ['torch'],
  licence: 'apache-2.0',
  base_model: 'someone/base',
  problems: [],
  complete: true
};

describe('parameters', () => {
  it.each([
    [{ parameters: 137, dtypes: { fp32: 137 } }, '137, fp32'],
    [
      { parameters: 1000, dtypes: { fp32: 20, bf16: 978, int64: 2 } },
      '1.0 k: 98 % bf16, 2 % fp32, <1 % int64'
    ],
    [
      {
        parameters: 8_030_261_248,
        dtypes: { Q4_K: 1 },
        quantization: 'Q4_K_M'
      },
      '8.0 B, Q4_K_M'
    ],
    [
      { parameters: null, dtypes: {}, quantization: 'gptq 4-bit' },
      'gptq 4-bit'
    ],
    [{ parameters: null, dtypes: {} }, '']
  ])('of %j', (part, text) => {
    expect(describeParameters({ quantization: '', ...part }, trans)).toBe(text);
  });
});

describe('the models section', () => {
  let bench: Bench;
  let model: ModelsModel;
  const actions = {
    onRegister: jest.fn(),
    onDeploy: jest.fn(),
    onSetAlias: jest.fn(),
    onRemoveAlias: jest.fn(),
    onCard: jest.fn(),
    onDelete: jest.fn(),
    onHistory: jest.fn(),
    onLineage: jest.fn(),
    onEvaluate: jest.fn()
  };

  beforeEach(() => {
    jest.clearAllMocks();
    bench = new Bench({ 'GET /models': page([]) });
    model = new ModelsModel(bench.core);
  });

  afterEach(() => {
    cleanup();
    model.dispose();
    bench.dispose();
  });

  async function show(): Promise<void> {
    model.list.visible = true;
    const rendermime = new RenderMimeRegistry({ initialFactories: [] });
    render(<ModelsSection {...{ model, rendermime, trans }} {...actions} />);
    await settle();
  }

  it('says what to do when there is none', async () => {
    await show();
    fireEvent.click(screen.getByRole('button', { name: 'Register a model…' }));
    expect(actions.onRegister).toHaveBeenCalledTimes(1);
  });

  it('asks before it deletes, and deletes what it named', async () => {
    bench.answers['GET /models'] = page([
      {
        name: 'digits',
        description: '',
        updated_at: null,
        tags: {},
        versions: [version()]
      }
    ]);
    bench.answers['DELETE /models/digits'] = null;
    bench.answers['DELETE /models/digits/versions/2'] = {};
    await show();
    fireEvent.click(
      screen.getByRole('button', { name: 'Delete digits version 2…' })
    );
    expect(actions.onDelete).toHaveBeenLastCalledWith('digits', '2');
    fireEvent.click(
      screen.getByRole('button', { name: 'Delete the model digits…' })
    );
    expect(actions.onDelete).toHaveBeenLastCalledWith('digits');
    const answered = async (button: string, args: Record<string, string>) => {
      const done = deleteModel(model, args, trans);
      await settle();
      const text = document.querySelector('.jp-Dialog')!.textContent;
      fireEvent.click(document.querySelector(`.jp-Dialog .${button}`)!);
      await done;
      return text;
    };
    expect(await answered('jp-mod-reject', { model: 'digits' })).toContain(
      'This cannot be undone.'
    );
    expect(bench.calls.filter(call => call.startsWith('DELETE'))).toEqual([]);
    const version2 = { model: 'digits', version: '2' };
    await answered('jp-mod-accept', version2);
    await answered('jp-mod-accept', { model: 'digits' });
    expect(bench.calls.filter(call => call.startsWith('DELETE'))).toEqual([
      'DELETE /models/digits/versions/2',
      'DELETE /models/digits'
    ]);
  });

  it('shows versions with aliases, flavors and actions', async () => {
    bench.answers['GET /models'] = page([
      {
        name: 'digits',
        description: '',
        updated_at: null,
        tags: {},
        versions: [
          version({ aliases: ['champion'] }),
          version({ version: '1' })
        ]
      }
    ]);
    await show();
    expect(screen.getByText('v2')).toBeTruthy();
    expect(screen.getAllByText('pytorch')).toHaveLength(2);
    fireEvent.click(
      screen.getByRole('button', {
        name: 'Remove the alias champion from digits version 2'
      })
    );
    expect(actions.onRemoveAlias.mock.calls[0][1]).toBe('champion');
    fireEvent.click(
      screen.getByRole('button', { name: 'Deploy digits version 1…' })
    );
    expect(actions.onDeploy.mock.calls[0][0].version).toBe('1');
  });

  it('reads the files of a version when its details open', async () => {
    bench.answers['GET /models'] = page([
      {
        name: 'digits',
        description: '',
        updated_at: null,
        tags: {},
        versions: [version()]
      }
    ]);
    const path = 'GET /models/digits/versions/2/facts';
    bench.answers[path] = facts;
    await show();
    expect(bench.calls).not.toContain(path);
    const toggle = screen.getByRole('button', {
      name: 'Details of digits version 2'
    });
    expect(toggle.getAttribute('aria-expanded')).toBe('false');
    await act(async () => {
      fireEvent.click(toggle);
      await settle();
    });
    expect(toggle.getAttribute('aria-expanded')).toBe('true');
    for (const text of [
      'Runs code when loaded: python_model.pkl',
      'Load it only if you trust who made it.',
      '7.2 B, bf16',
      '13.5 GiB',
      'someone/base',
      'x: float32[?, 64]',
      '2 files',
      'pickle, runs code when loaded',
      'It is a pickle.',
      'safetensors, data only',
      '1 requirement'
    ]) {
      expect(screen.getByText(text)).toBeTruthy();
    }
    fireEvent.click(toggle);
    expect(screen.queryByText('13.5 GiB')).toBeNull();
  });

  it('says why the files of a version cannot be read', async () => {
    bench.answers['GET /models'] = page([
      {
        name: 'digits',
        description: '',
        updated_at: null,
        tags: {},
        versions: [version()]
      }
    ]);
    bench.answers['GET /models/digits/versions/2/facts'] = new Refusal(
      404,
      'not_found',
      'The files of digits version 2 do not exist.',
      'Register the model again.'
    );
    await show();
    await act(async () => {
      fireEvent.click(
        screen.getByRole('button', { name: 'Details of digits version 2' })
      );
      await settle();
    });
    expect(
      screen.getByText('The files of this version cannot be read.')
    ).toBeTruthy();
    expect(screen.getByText(/do not exist/)).toBeTruthy();
  });

  it('fetches the versions that did not come with the model', async () => {
    const numbers = Array.from({ length: 9 }, (_, at) => String(9 - at));
    const versions = numbers.map(number => version({ version: number }));
    bench.answers['GET /models'] = page([
      {
        name: 'digits',
        description: '',
        updated_at: null,
        tags: {},
        versions: versions.slice(0, 6),
        older: '6'
      }
    ]);
    bench.answers['GET /models/digits/versions'] = paged(() => versions, 2);
    await show();
    expect(screen.getByText('more than 6 versions')).toBeTruthy();
    const click = async (name: string) => {
      fireEvent.click(screen.getByRole('button', { name }));
      await act(() => settle());
    };
    await click('Show the newest 6');
    await click('Show older versions');
    expect(screen.getByText('v2')).toBeTruthy();
    expect(screen.queryByText('v1')).toBeNull();
    await click('Show older versions');
    expect(screen.getByText('v1')).toBeTruthy();
    expect(screen.queryByRole('button', { name: /older/ })).toBeNull();
    expect(document.querySelectorAll('.gol-Version')).toHaveLength(9);
  });

  it('keeps a model open when the server goes away and comes back', async () => {
    const models = ['digits', 'letters'].map(name => ({
      name,
      description: '',
      updated_at: null,
      tags: {},
      versions: [version({ name })]
    }));
    bench.answers['GET /models'] = page(models);
    await show();
    fireEvent.click(screen.getByRole('button', { name: /letters/ }));
    const isOpen = () =>
      screen
        .getByRole('button', { name: /^letters/ })
        .getAttribute('aria-expanded');
    bench.answers['GET /models'] = new Refusal(503, 'unavailable', 'Away.');
    await act(() => model.list.refresh());
    expect(screen.getByText('Models cannot be read.')).toBeTruthy();
    expect(isOpen()).toBe('true');
    bench.answers['GET /models'] = page(models);
    await act(() => model.list.refresh());
    expect(screen.queryByText('Models cannot be read.')).toBeNull();
    expect(isOpen()).toBe('true');
  });

  it('reads them again when a model changes, and only while seen', async () => {
    await show();
    bench.change('model', 'digits');
    await settle();
    expect(bench.count('GET /models')).toBe(2);
    model.list.visible = false;
    bench.change('model', 'digits');
    await settle();
    expect(bench.count('GET /models')).toBe(2);
  });
});

describe('registering', () => {
  let bench: Bench;
  let model: ModelsModel;

  beforeEach(() => {
    bench = new Bench({
      'GET /runs': {
        items: [run('r2', 'RUNNING'), run('r1')],
        next: ''
      },
      'GET /runs/r1': detail('r1', 'model'),
      'GET /runs/r2': detail('r2'),
      'POST /models': version()
    });
    model = new ModelsModel(bench.core);
  });

  afterEach(() => {
    cleanup();
    model.dispose();
    bench.dispose();
  });

  it('proposes the latest finished run and sends once for a double click', async () => {
    const form = new RegisterForm(model.service, {}, trans);
    await form.load();
    expect(form.fields.runId).toBe('r1');
    expect(form.valid).toBe(false);
    form.set({ name: ' digits ', alias: 'champion' });
    const results = await Promise.all([form.submit(), form.submit()]);
    expect(results).toEqual([true, false]);
    expect(bench.count('POST /models')).toBe(1);
    expect(bench.bodies[bench.calls.indexOf('POST /models')]).toEqual({
      name: 'digits',
      run: 'r1',
      model: 'model',
      alias: 'champion',
      idempotency_key: form.key
    });
    expect(form.key).toMatch(/^[0-9a-f]{32}$/);
    expect(form.result && 'version' in form.result && form.result.version).toBe(
      '2'
    );
  });

  it('keeps the key for a second try after a failure', async () => {
    const form = new RegisterForm(model.service, { runId: 'r1' }, trans);
    await form.load();
    form.set({ name: 'digits' });
    bench.answers['POST /models'] = new Refusal(
      502,
      'unavailable',
      'MLflow is away.',
      'Try again.'
    );
    expect(await form.submit()).toBe(false);
    expect(form.snapshot.error?.message).toBe('MLflow is away.');
    bench.answers['POST /models'] = version();
    expect(await form.submit()).toBe(true);
    const keys = bench.bodies
      .filter((_, index) => bench.calls[index] === 'POST /models')
      .map(body => (body as { idempotency_key: string }).idempotency_key);
    expect(keys).toEqual([form.key, form.key]);
  });

  it('refuses a run without a model, and says so', async () => {
    const form = new RegisterForm(model.service, { runId: 'r2' }, trans);
    await form.load();
    form.set({ name: 'digits' });
    expect(form.valid).toBe(false);
    render(<RegisterFields form={form} trans={trans} />);
    expect(screen.getByText('This run logged no model.')).toBeTruthy();
  });

  it('ignores the models of a run that is no longer chosen', async () => {
    const form = new RegisterForm(model.service, {}, trans);
    let late: (value: unknown) => void = () => undefined;
    bench.answers['GET /runs/r2'] = () =>
      new Promise(resolve => {
        late = resolve;
      });
    const slow = form.chooseRun('r2');
    await form.chooseRun('r1');
    late(detail('r2', 'other'));
    await slow;
    expect(form.fields.logged).toBe('model');
  });

  it('knows what MLflow refuses', () => {
    expect(aliasProblem('champion-2', trans)).toBe('');
    expect(aliasProblem('größe', trans)).toBe('');
    for (const bad of ['v3', 'LATEST', 'a b', '../x']) {
      expect(aliasProblem(bad, trans)).not.toBe('');
    }
    expect(nameProblem('modèle 数', trans)).toBe('');
    expect(nameProblem('../up', trans)).not.toBe('');
  });

  it('points an alias at a version, whose name stays in one segment', async () => {
    bench.answers['PUT /models/a%20b/aliases/prod'] = {
      name: 'a b',
      description: '',
      updated_at: null,
      versions: []
    };
    const shown = {
      name: 'a b',
      description: '',
      updated_at: null,
      versions: [
        version({ name: 'a b', version: '3', aliases: ['best'] }),
        version({ name: 'a b', version: '2', aliases: ['prod'] })
      ],
      older: '',
      tags: {}
    };
    const of = (registered: typeof shown | undefined) =>
      new AliasForm(
        model.service,
        { name: 'a b', version: '3' },
        registered,
        trans
      );
    const form = of(shown);
    expect(form.valid).toBe(false);
    form.set({ alias: 'best' });
    expect(form.problem).toBe('This version has the alias “best” already.');
    form.set({ alias: 'prod', reason: ' better ' });
    expect([form.from, form.known]).toEqual(['2', ['best', 'prod']]);
    render(<AliasFields form={form} trans={trans} />);
    expect(screen.getByText('from version 2 to version 3')).toBeTruthy();
    expect(await form.submit()).toBe(true);
    const sent = { version: '3', reason: 'better', evidence: {} };
    expect(bench.bodies[bench.bodies.length - 1]).toEqual({
      ...sent,
      expected: '2'
    });
    form.set({ alias: 'new' });
    expect(form.from).toBe('');
    for (const registered of [undefined, { ...shown, older: 'more' }]) {
      const unknown = of(registered);
      unknown.set({ alias: 'new' });
      expect(unknown.from).toBeUndefined();
    }
  });
});
