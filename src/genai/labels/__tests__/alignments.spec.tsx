import { nullTranslator } from '@jupyterlab/translation';
import { DisposableDelegate } from '@lumino/disposable';
import { Signal } from '@lumino/signaling';
import { act, fireEvent, render, screen } from '@testing-library/react';
import * as React from 'react';

import { Alignments } from '../alignments';
import type { IAlignment } from '../alignments-model';
import { AlignmentsModel } from '../alignments-model';

const trans = nullTranslator.load('genops_lab');
const unknown = { value: null, low: null, high: null, n: 20 };
const agreement = {
  scorer: 'measure',
  kappa: unknown,
  rate: null,
  base_rate: null,
  calibrated: null,
  verdict: '',
  criterion: '',
  not_marked: 0
};

/** An alignment that is done and not kept. */
const DONE: IAlignment = {
  id: 'a1',
  evaluation: 'units-1',
  judge: 'measure',
  question: 'measure',
  optimizer: 'MetaPromptOptimizer',
  writer: 'writer',
  seed: 0,
  training_answers: 20,
  held_out_answers: 20,
  created_at: 1,
  stage: 'done',
  criterion: 'It is right.',
  new_criterion: 'It is right and short.',
  changed: [
    { change: 'same', text: 'It is right' },
    { change: 'added', text: ' and short' },
    { change: 'same', text: '.' }
  ],
  before: agreement,
  after: agreement,
  difference: { value: 0, low: -0.1, high: 0.1, n: 20 },
  verdict: 'within chance',
  sentences: ['The held-out labels do not show that it is better.'],
  tried: 1,
  tokens: 900,
  money: null,
  currency: 'USD',
  notes: [],
  training: null,
  kept_as: '',
  rubric: ''
};

/** A Lab with one alignment, and the queue's report. */
function lab(found: IAlignment) {
  const sent: [path: string, body: unknown][] = [];
  const muted: string[] = [];
  let state = found;
  const http = {
    GET: (path: string) =>
      Promise.resolve(
        path === '/endpoints'
          ? { endpoints: [{ name: 'writer' }], notes: [] }
          : path === '/judge-alignments'
            ? { items: [state], next: '' }
            : path === '/tasks'
              ? []
              : state
      ),
    POST: (path: string, given: { body?: unknown }) => {
      sent.push([path, given.body]);
      if (path.endsWith('/keep')) {
        state = { ...state, kept_as: 'measure-aligned', rubric: 'scorers: []' };
      }
      return Promise.resolve(
        path === '/judge-alignment-cost'
          ? {
              judge: 'measure',
              question: 'measure',
              training: 20,
              held_out: 20,
              calls: 41,
              tokens: 900,
              money: null,
              without_price: ['writer'],
              parts: []
            }
          : { task: { subject: 'judge-alignment:a1' } }
      );
    }
  };
  const changed = new Signal<object, void>({});
  const core = {
    api: { http, data: (answer: unknown) => answer },
    events: { changed: () => changed, resync: changed },
    trans
  };
  const judges = [
    { ...agreement, criterion: 'It is right.' },
    { ...agreement, scorer: 'exact' }
  ];
  const report = { queue: { name: 'units', evaluation: 'units-1' }, judges };
  const model = new AlignmentsModel(
    core as never,
    null as never,
    report as never,
    {
      mute: subject => {
        muted.push(subject);
        return new DisposableDelegate(() => muted.pop());
      },
      offer: () => new DisposableDelegate(() => undefined)
    }
  );
  model.visible = true;
  return { model, sent, muted };
}

const told = () => act(() => new Promise(resolve => setTimeout(resolve, 0)));

it('keeps a judge when a person asks, and uses it after another press', async () => {
  const { model, sent } = lab(DONE);
  render(<Alignments model={model} onClose={() => undefined} />);
  const keep = await screen.findByRole('button', { name: 'Keep' });
  expect(document.querySelector('ins')?.textContent).toBe(' and short');
  expect(keep.className).not.toContain('gol-mod-primary'); // nothing shows that it is better
  expect(sent).toEqual([]);
  fireEvent.click(keep);
  await screen.findByText('MLflow has the judge measure-aligned.');
  fireEvent.click(
    screen.getByRole('button', { name: 'Score the answers with it' })
  );
  await told();
  expect(sent.map(([path]) => path)).toEqual([
    '/judge-alignments/{alignment}/keep',
    '/answer-evaluations/{id}/scores'
  ]);
  expect(sent[1][1]).toEqual({
    text: 'scorers: []',
    name: 'measure-aligned'
  });
});

it('has no notification of the alignment that is seen', async () => {
  const { model, muted } = lab(DONE);
  render(<Alignments model={model} onClose={() => undefined} />);
  await screen.findByRole('button', { name: 'Keep' });
  expect(muted).toEqual(['judge-alignment:a1']);
  act(() => {
    model.visible = false;
  });
  expect(muted).toEqual([]);
  model.visible = true;
  expect(muted).toEqual(['judge-alignment:a1']);
  model.dispose();
  expect(muted).toEqual([]);
});

it('begins with a rubric, and asks the server to wait for a person', async () => {
  const { model, sent } = lab({ ...DONE, new_criterion: '', changed: [] });
  render(<Alignments model={model} onClose={() => undefined} />);
  await screen.findByText('The held-out labels do not show that it is better.');
  expect(screen.queryByRole('button', { name: 'Keep' })).toBeNull();
  const judge = screen.getByLabelText<HTMLSelectElement>('Judge');
  expect([...judge.options].map(each => each.text)).toEqual(['measure']);
  const cost = screen.getByRole<HTMLButtonElement>('button', {
    name: 'Show cost'
  });
  expect(cost.disabled).toBe(true);
  fireEvent.change(screen.getByLabelText('Model that writes'), {
    target: { value: 'writer' }
  });
  fireEvent.click(cost);
  await screen.findByText(
    'Labels of the question measure: 20 train, 20 are held out.'
  );
  fireEvent.click(
    screen.getByRole('button', { name: 'Align with at most 41 calls' })
  );
  await told();
  const body = {
    evaluation: 'units-1',
    judge: 'measure',
    writer: 'writer',
    optimizer: 'metaprompt',
    rounds: 2,
    held_out: 0.5,
    seed: 0,
    money: null,
    keep: 'asked'
  };
  expect(sent).toEqual([
    ['/judge-alignment-cost', body],
    ['/judge-alignments', body]
  ]);
});
