import { cleanup, fireEvent, render, screen } from '@testing-library/react';
import * as React from 'react';

import { Bench, page, trans } from '../../tasks/__tests__/support';
import { ModelsModel } from '../model';
import { describeOrigin } from '../origin';
import { RegisterForm } from '../register';
import type { IModelVersion } from '../service';
import { RegisterFields } from '../view/register-form';

type Origin = NonNullable<IModelVersion['origin']>;

const origin = (part: Partial<Origin>): Origin => ({
  kind: 'path',
  uri: '',
  revision: '',
  run: '',
  mlflow: '',
  chosen_by: null,
  ...part
});

const chosen = {
  metric: 'accuracy',
  largest: true,
  value: 0.97,
  runs: 48,
  experiment: 'digits',
  data: 'holdout@2b',
  left_out: 0,
  unfinished: 0
};

describe('the origin of a version', () => {
  it.each([
    [null, ''],
    [origin({ kind: 'run' }), ''],
    [
      origin({ kind: 'best', chosen_by: chosen }),
      'Best of 48 runs by accuracy on holdout@2b: the best of many is partly luck.'
    ],
    [
      origin({ kind: 'best', chosen_by: { ...chosen, runs: 1, data: '' } }),
      'The only run with accuracy.'
    ],
    [origin({ uri: '/models/w.gguf' }), 'Files from /models/w.gguf.'],
    [
      origin({ kind: 'hf', uri: 'hf:acme/small', revision: 'a'.repeat(40) }),
      'Copied from hf:acme/small at commit aaaaaaaaaaaa.'
    ],
    [
      origin({ kind: 'mlflow', uri: 'models:/a/1', mlflow: 'http://far' }),
      'Copied from models:/a/1 of http://far.'
    ],
    [origin({ kind: 'uri', uri: 's3://b/m' }), 'Copied from s3://b/m.']
  ])('of %j', (found, text) => {
    expect(describeOrigin(found, trans)).toBe(text);
  });
});

describe('the form for files', () => {
  let bench: Bench;
  let model: ModelsModel;
  let form: RegisterForm;

  beforeEach(async () => {
    bench = new Bench({
      'GET /models': page([]),
      'GET /runs': page([]),
      'POST /models/small/imports': { id: 't1', state: 'running' }
    });
    model = new ModelsModel(bench.core);
    form = new RegisterForm(model.service, {}, trans);
    await form.load();
  });

  afterEach(() => {
    cleanup();
    model.dispose();
    bench.dispose();
  });

  it('sends a path with its base, also without any run', async () => {
    const { rerender } = render(<RegisterFields form={form} trans={trans} />);
    expect(screen.queryByLabelText('Name')).toBeNull();
    const show = () =>
      rerender(
        <RegisterFields form={form} trans={trans} key={Math.random()} />
      );
    fireEvent.change(screen.getByLabelText('From'), {
      target: { value: 'files' }
    });
    show();
    expect(form.valid).toBe(false);
    for (const [label, value] of [
      ['Path', 'models/lora '],
      ['Base model (optional)', 'hf:acme/base'],
      ['Name', 'small']
    ] as const) {
      fireEvent.change(screen.getByLabelText(label), { target: { value } });
      show();
    }
    fireEvent.click(screen.getByRole('checkbox'));
    expect(form.valid).toBe(true);
    expect(await form.submit()).toBe(true);
    expect(bench.bodies[bench.bodies.length - 1]).toEqual({
      source: 'models/lora',
      base: 'hf:acme/base',
      alias: '',
      allow_code: true,
      mlflow: '',
      secret: ''
    });
    expect(form.result).toEqual({ id: 't1', state: 'running' });
  });

  it('names a repository of the hub and says what is wrong with another text', async () => {
    form.set({ kind: 'hub', source: 'small', name: 'small' });
    expect(form.sourceProblem).toBe('Use ORG/NAME or ORG/NAME@REVISION.');
    expect(form.valid).toBe(false);
    form.set({ source: 'acme/small@v1.2' });
    expect(form.valid).toBe(true);
    await form.submit();
    expect(bench.bodies[bench.bodies.length - 1]).toMatchObject({
      source: 'hf:acme/small@v1.2'
    });
  });
});
