import { nullTranslator } from '@jupyterlab/translation';

import { ApiError } from '../../../core';
import type { INewFile, IPromptVersion } from '../new-file';
import { dataFrom, fileText, isPlain, partOf } from '../new-file';
import { PlanForm } from '../plan-form';
import { mostOf, priceDates, unknownCosts } from '../plan-messages';
import type { IBegun, IPlan, IPlannedCalls, ITarget } from '../service';

const trans = nullTranslator.load('genops_lab');

const calls = (
  model: string,
  part: Partial<IPlannedCalls> = {}
): IPlannedCalls => ({
  model,
  calls: 12,
  input_tokens: 100,
  output_tokens: 240,
  money: 0.5,
  currency: 'USD',
  price: { input: 1, output: 2, date: '2026-11-02' } as IPlannedCalls['price'],
  ...part
});

const plan = (part: Partial<IPlan> = {}): IPlan => ({
  name: 'parcels',
  digest: '0123456789ab',
  rows: 12,
  repeats: 1,
  models: [calls('small'), calls('large')],
  judges: [],
  user: null,
  shows: [],
  tests: 1,
  clusters: 0,
  asked_until_known: false,
  notes: [],
  keys: '',
  problems: [],
  seen: 'first',
  ...part
});

describe('the cost of a plan', () => {
  it('has the calls of judges and users too, by currency', () => {
    const found = mostOf(
      plan({
        judges: [calls('judge', { money: 2, currency: 'EUR' })],
        user: calls('user', { money: 1 })
      })
    );
    expect([...found!]).toEqual([
      ['USD', 2],
      ['EUR', 2]
    ]);
  });

  it('is not known where that of one call is not, and says why', () => {
    const unknown = plan({
      models: [
        calls('free', { money: null, price: null }),
        calls('open', { money: null, output_tokens: null }),
        calls('talks', { money: null, input_tokens: null }),
        calls('harness', { money: null, calls: null })
      ]
    });
    expect(mostOf(unknown)).toBeNull();
    expect(unknownCosts(unknown, trans)).toEqual([
      'free has no price. Add the price to the endpoint or to the file.',
      'No max_tokens bounds the answers of open. Add max_tokens to settings.',
      'The input of talks depends on answers whose length is not known.',
      'The number of calls of harness is not known before the start.'
    ]);
  });

  it('goes by prices with a date', () => {
    expect(priceDates(plan(), trans)).toBe('2026-11-02');
    const undated = { input: 1, output: 2, date: '' } as IPlannedCalls['price'];
    const mixed = plan({
      models: [calls('small'), calls('large', { price: undated })]
    });
    expect(priceDates(mixed, trans)).toBe(
      '2026-11-02 (small), no date (large)'
    );
  });
});

/** A Lab whose answers a test gives; a file that a test edits. */
function lab() {
  const state = {
    text: 'first text',
    answer: (_on: string): IPlan | Error => plan(),
    begun: [] as unknown[][],
    begins: (): IBegun | Error => ({}) as IBegun
  };
  const settle = <T>(found: T | Error): Promise<T> =>
    found instanceof Error ? Promise.reject(found) : Promise.resolve(found);
  const service = {
    plan: ({ on }: { on: string }) => settle(state.answer(on)),
    begin: (...given: unknown[]) => {
      state.begun.push(given);
      return settle(state.begins());
    },
    targets: () => Promise.resolve([{ name: 'box', state: 'up' } as ITarget])
  };
  const file = { path: 'a/e.yaml', read: () => settle(state.text) };
  return { state, form: new PlanForm(service, file, trans) };
}

const refusal = (code: string, message = 'It was refused.') =>
  new ApiError({ status: 409, code, message });

describe('the form of a plan', () => {
  it('starts what it showed, once for its key', async () => {
    const { state, form } = lab();
    await form.load();
    expect(form.valid).toBe(true);
    state.begins = () => refusal('network');
    expect(await form.submit()).toBe(false);
    state.begins = () => ({}) as IBegun;
    state.text = 'second text';
    expect(await form.submit()).toBe(true);
    expect(state.begun.map(([given]) => given)).toEqual([
      { text: 'first text', path: 'a/e.yaml', on: '' },
      { text: 'second text', path: 'a/e.yaml', on: '' }
    ]);
    expect(state.begun.map(([, seen, key]) => [seen, key])).toEqual([
      ['first', form.key],
      ['first', form.key]
    ]);
  });

  it('shows the plan of now where the file changed since', async () => {
    const { state, form } = lab();
    await form.load();
    state.begins = () => refusal('changed_since');
    state.answer = () => plan({ rows: 13, seen: 'second' });
    expect(await form.submit()).toBe(false);
    expect(form.fields.plan?.rows).toBe(13);
    expect(form.snapshot.error?.code).toBe('changed_since');
    state.begins = () => ({}) as IBegun;
    expect(await form.submit()).toBe(true);
    expect(state.begun[1][1]).toBe('second');
  });

  it('does not start what has a problem, or no plan', async () => {
    const { state, form } = lab();
    expect(form.valid).toBe(false);
    state.answer = () => plan({ problems: ['The secret KEY is not set.'] });
    await form.load();
    expect(form.valid).toBe(false);
    state.answer = () => refusal('evaluation_file');
    await form.load();
    expect([form.valid, form.fields.plan]).toEqual([false, undefined]);
    expect(form.snapshot.error?.message).toBe('It was refused.');
    expect(form.fields.targets).toHaveLength(1);
    expect(await form.submit()).toBe(false);
    expect(state.begun).toEqual([]);
  });

  it('tells at the choice why a target cannot do it', async () => {
    const { state, form } = lab();
    await form.load();
    state.answer = on =>
      on === 'box' ? refusal('invalid', 'box is no host.') : plan();
    await form.choose('box');
    expect(form.fields.onProblem).toBe('box is no host.');
    expect([form.valid, form.snapshot.error]).toEqual([false, undefined]);
    await form.choose('');
    expect([form.fields.onProblem, form.valid]).toEqual(['', true]);
  });

  it('keeps the plan of the last choice, however late others come', async () => {
    const { state, form } = lab();
    await form.load();
    let late!: (found: IPlan) => void;
    const service = (form as unknown as { _service: { plan: unknown } })
      ._service;
    service.plan = ({ on }: { on: string }) =>
      on === 'box'
        ? new Promise<IPlan>(resolve => (late = resolve))
        : Promise.resolve(plan({ seen: 'here' }));
    const slow = form.choose('box');
    await form.choose('');
    late(plan({ seen: 'there' }));
    await slow;
    expect(form.fields.plan?.seen).toBe('here');
    expect(state.begun).toEqual([]);
  });
});

it('reads the targets again when the chosen one is gone at the start', async () => {
  const { state, form } = lab();
  await form.load();
  await form.choose('box');
  state.begins = () => refusal('not_connected', 'box is not connected.');
  const service = (form as unknown as { _service: { targets: unknown } })
    ._service;
  service.targets = () => Promise.resolve([{ name: 'box', state: 'idle' }]);
  expect(await form.submit()).toBe(false);
  expect(form.fields.targets[0].state).toBe('idle');
  expect(form.snapshot.error?.message).toBe('box is not connected.');
  expect(form.fields.on).toBe('box');
});

const version = (part: Partial<IPromptVersion> = {}): IPromptVersion =>
  ({
    name: 'parcel',
    version: '3',
    turns: [{ role: 'user', content: 'Where is {{id}}?', parts: [] }],
    tools: [],
    templates: false,
    problem: '',
    settings: { model_name: 'm', temperature: 0 },
    response_format: null,
    ...part
  }) as unknown as IPromptVersion;

const file = (part: Partial<INewFile> = {}): INewFile => ({
  name: 'parcels',
  data: 'rows.jsonl',
  prompt: 'Where is {{id}}?',
  versions: [],
  models: ['small', 'deployment:large'],
  scorers: '- scorer: exact',
  repeats: 2,
  maxTokens: 64,
  money: NaN,
  ...part
});

describe('the file that the form writes', () => {
  it('is short, and has models under names of their own', () => {
    expect(fileText(file())).toBe(`apiVersion: genops/v1
kind: Evaluation
metadata: {name: "parcels"}
data: "rows.jsonl"
prompt: "Where is {{id}}?"
models:
  small:
    endpoint: "small"
  large:
    endpoint: "deployment:large"
settings: {max_tokens: 64}
repeats: 2
scorers:
- scorer: exact
`);
    const same = fileText(file({ models: ['gateway:a b', 'a-b', '1'] }));
    expect(same).toContain('  a-b:\n');
    expect(same).toContain('  a-b-2:\n');
    expect(same).toContain('  "1":\n');
  });

  it('keeps each text as it is', () => {
    expect(fileText(file({ prompt: 'One\n\n  two: #3' }))).toContain(
      'prompt: |-\n  One\n\n    two: #3\nmodels'
    );
    for (const odd of [' one\ntwo', 'one\ntwo\n', 'one\u2028\ntwo\u0085']) {
      expect(fileText(file({ prompt: odd }))).toMatch(/^prompt: "[ -~]*"$/m);
    }
  });

  it('has a prompt for each version, with its settings and the budget', () => {
    const text = fileText(
      file({
        models: ['small'],
        versions: [version(), version({ version: '4', settings: {} })],
        money: 0.5
      })
    );
    expect(text).not.toMatch(/^prompt/m);
    expect(text).toContain(`  v3:
    endpoint: "small"
    limits: {money: 0.5}
    prompt: [{"role":"user","content":"Where is {{id}}?"}]
    settings: {"temperature":0}
  v4:
`);
    expect(fileText(file({ versions: [version()] }))).toContain('  large-v3:');
  });

  it('says which field a line comes from', () => {
    const written = file({ prompt: 'One\ntwo' });
    const lines = fileText(written).split('\n');
    const at = (begin: string) =>
      lines.findIndex(line => line.startsWith(begin)) + 1;
    expect(partOf(written, at('metadata'))).toBe('name');
    expect(partOf(written, at('data'))).toBe('data');
    expect(partOf(written, at('  two'))).toBe('prompt');
    expect(partOf(written, at('  large'))).toBe('models');
    expect(partOf(written, at('- scorer'))).toBe('scorers');
    expect(partOf(written, lines.length)).toBe('scorers');
  });

  it('names rows from its own folder', () => {
    expect(dataFrom('', 'rows.jsonl')).toBe('rows.jsonl');
    expect(dataFrom('a/b', 'a/b/rows.jsonl')).toBe('rows.jsonl');
    expect(dataFrom('a/b', 'a/c/rows.jsonl')).toBe('../c/rows.jsonl');
    expect(dataFrom('a', './rows.jsonl')).toBe('../rows.jsonl');
    for (const kept of ['/data/rows.csv', 'dataset:a/b', 'traces:']) {
      expect(dataFrom('a', kept)).toBe(kept);
    }
  });

  it('has no version with more than texts', () => {
    expect(isPlain(version())).toBe(true);
    expect(isPlain(version({ tools: [{}] as never }))).toBe(false);
    expect(isPlain(version({ templates: true }))).toBe(false);
    const picture = { role: 'user', content: '', parts: [{}] };
    expect(isPlain(version({ turns: [picture] as never }))).toBe(false);
  });
});
