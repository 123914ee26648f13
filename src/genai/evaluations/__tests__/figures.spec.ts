import { nullTranslator } from '@jupyterlab/translation';

import { repeatsOf } from '../answers';
import { hasWords, inOrder, passes } from '../example-list';
import {
  candidatesOf,
  costOf,
  costText,
  differenceScale,
  estimateText,
  placeOf,
  resultText,
  scaleOf,
  stateOf
} from '../figures';
import type {
  IAnswer,
  ICompared,
  IEstimate,
  IEvaluation,
  IExample,
  IExampleResult,
  IModelAnswers
} from '../service';

const trans = nullTranslator.load('genops_lab');

const estimate = (
  value: number | null,
  low: number | null = null,
  high: number | null = null
): IEstimate => ({ value, low, high, n: 10 });

const result = (value: number | null, failed = 0): IExampleResult => ({
  value,
  answered: value === null ? 0 : 1,
  failed,
  not_scored: 0
});

describe('an axis', () => {
  it('is 0 to 1 for shares, and has all ends of other scores', () => {
    expect(scaleOf([estimate(0.6, 0.5, 0.7), estimate(null)])).toEqual([0, 1]);
    expect(scaleOf([estimate(30, 20, 45)])).toEqual([0, 45]);
    expect(placeOf(0.25, [0, 1])).toBe(25);
  });

  it('has 0 in the middle for differences, also where all are 0', () => {
    expect(differenceScale([estimate(-0.1, -0.4, 0.2)])).toEqual([-0.4, 0.4]);
    expect(differenceScale([estimate(0, 0, 0)])).toEqual([-1, 1]);
  });
});

it('writes what is not known as such', () => {
  expect(estimateText(estimate(0.6666, 0.5, 0.8), trans)).toBe(
    '0.667 (0.5 to 0.8)'
  );
  expect(estimateText(estimate(500005, 500003.2, 500006.8), trans)).toBe(
    '500,005 (500,003 to 500,007)'
  );
  expect(estimateText(estimate(0.00001954), trans)).toBe('1.95e-5');
  expect(estimateText(estimate(0.04), trans, true)).toBe('+0.04');
  expect(estimateText(estimate(null), trans)).toBe('Not known');
  expect(resultText(result(null, 1), trans)).toBe('error');
  expect(resultText(result(1, 2), trans)).toBe('1, 2 errors');
  expect(resultText({ ...result(null), answered: 1 }, trans)).toBe(
    'not scored'
  );
});

const model = (part: Partial<IModelAnswers>) =>
  ({
    model: 'a',
    wanted: 10,
    answered: 10,
    failed: 0,
    ...part
  }) as IModelAnswers;

const evaluation = (
  models: IModelAnswers[],
  stage: IEvaluation['stage'] = 'done'
) =>
  ({
    id: 'e',
    name: 'e',
    digest: 'd',
    scorers: ['exact'],
    models,
    stage
  }) as IEvaluation;

it('tells failed calls and missing answers apart', () => {
  const state = (part: Partial<IModelAnswers>) =>
    stateOf({ evaluation: evaluation([model(part)]), task: undefined }, trans);
  expect(state({})).toEqual({ tone: 'ok', label: 'Done' });
  expect(state({ answered: 8, failed: 2 }).label).toBe('2 calls failed');
  expect(state({ answered: 7, failed: 2 }).label).toBe('1 answer missing');
  const unscored = { ...evaluation([model({})]), unfinished: ['judge'] };
  expect(stateOf({ evaluation: unscored, task: undefined }, trans).label).toBe(
    'Not all answers scored'
  );
  const stopped = evaluation([model({})], 'asking');
  expect(stateOf({ evaluation: stopped, task: undefined }, trans).tone).toBe(
    'stopped'
  );
});

it('knows no cost where one price is unknown', () => {
  const known = model({ money: 2 });
  const cost = (...models: IModelAnswers[]) =>
    costText(costOf(evaluation(models)), trans);
  expect(cost(known, known)).toBe('4 USD');
  expect(cost(known, model({ money: 0.5, currency: 'EUR' }))).toBe(
    '2 USD + 0.5 EUR'
  );
  expect(cost(known, model({ money: null }))).toBe('Not known');
});

it('lists results that can be compared first, and why others cannot', () => {
  const own = evaluation([model({})]);
  const scores = [{} as NonNullable<IEvaluation['scores']>[number]];
  const other = (part: Partial<IEvaluation>) => ({
    evaluation: { ...own, scores, ...part },
    task: undefined
  });
  const found = candidatesOf(
    own,
    [
      other({ id: 'rows', digest: 'other' }),
      other({ id: 'unscored', scores: [] }),
      other({ id: 'same' }),
      other({ id: 'scorers', scorers: ['other'] }),
      other({})
    ],
    trans
  );
  expect(found.map(({ evaluation: { id }, problem }) => [id, problem])).toEqual(
    [
      ['same', ''],
      ['rows', 'other rows'],
      ['unscored', 'not scored yet'],
      ['scorers', 'no scorer in common']
    ]
  );
});

describe('examples', () => {
  const line = (example: string, ...results: IExampleResult[]): IExample => ({
    example,
    asked: `Where is ${example}?`,
    results
  });
  const compared = (part: Partial<ICompared>) =>
    ({ worse: [], better: [], ...part }) as ICompared;
  const ids = (lines: readonly IExample[]) =>
    lines.map(({ example }) => example).join(' ');

  it('come with new failures first, then what got worse, errors, and what got better', () => {
    const lines = ['same', 'better', 'mended', 'worse', 'fails', 'much-worse']
      .map(each => line(each, result(1), result(1)))
      .concat(line('error', result(1), result(null, 1)));
    const found = inOrder(
      lines,
      compared({
        worse: ['much-worse', 'fails', 'worse'],
        better: ['mended', 'better'],
        new_failures: ['fails'],
        mended: ['mended']
      })
    );
    expect(ids(found)).toBe('fails much-worse worse error mended better same');
    expect(ids(found.filter(each => passes(each, 'new-failure')))).toBe(
      'fails'
    );
    expect(ids(found.filter(each => passes(each, 'failed')))).toBe('error');
  });

  it('of one model come with errors and low scores first', () => {
    const found = inOrder(
      [
        line('good', result(1)),
        line('bad', result(0.2)),
        line('error', result(null, 1))
      ],
      undefined
    );
    expect(ids(found)).toBe('error bad good');
    expect(ids(found.filter(each => passes(each, 'low')))).toBe('bad');
  });

  it('are found by the words of their id and their question', () => {
    expect(hasWords(line('row-1'), 'ROW-1 where')).toBe(true);
    expect(hasWords(line('row-1'), 'row-1 when')).toBe(false);
  });

  it('have all repeats of the shown sides in pairs', () => {
    const answer = (name: string, repeat: number, of = 'e') =>
      ({ evaluation: of, model: name, repeat }) as IAnswer;
    const all = [
      answer('b', 1),
      answer('a', 0, 'other'),
      answer('a', 0),
      answer('c', 2),
      answer('b', 0)
    ];
    const found = repeatsOf(all, [
      { evaluation: 'e', model: 'a' },
      { evaluation: 'e', model: 'b' }
    ]);
    expect(
      repeatsOf(all, [
        { evaluation: 'other', model: 'a' },
        { evaluation: 'e', model: 'a' }
      ])
    ).toEqual([[all[1], all[2]]]);
    expect(
      found.map(each => each.map(one => one && `${one.model}${one.repeat}`))
    ).toEqual([
      ['a0', 'b0'],
      [undefined, 'b1']
    ]);
  });
});
