import {
  act,
  cleanup,
  fireEvent,
  render,
  screen
} from '@testing-library/react';
import * as React from 'react';

import {
  Bench,
  Refusal,
  page,
  settle,
  trans
} from '../../tasks/__tests__/support';
import { EvaluateForm } from '../evaluate';
import type { IEvaluationReport, IJudgedMetric } from '../service';
import { EvaluationsService } from '../service';
import { EvaluateFields } from '../view/evaluate-form';
import { VersionEvaluations } from '../view/version-evaluations';

const evaluation = {
  run_id: 'r2',
  model: 'digits',
  version: '2',
  data: 'holdout.parquet',
  digest: '0123456789abcdef',
  session: 's',
  made_at: Date.now() / 1000 - 60,
  how: 'evaluate' as const,
  place: '',
  metrics: { accuracy: 0.937 }
};
const accuracy: IJudgedMetric = {
  metric: 'accuracy',
  better: 'higher',
  group: '',
  value: '',
  candidate: {
    value: 0.9371,
    low: 0.9131,
    high: 0.9611,
    rows: 398,
    left_out: 2,
    reason: ''
  },
  champion: null,
  difference: {
    value: 0.008,
    low: -0.0042,
    high: 0.0203,
    p: 0.3,
    verdict: 'within chance',
    method: "McNemar's exact test",
    rows: 398,
    more: 1900
  }
};
const report: IEvaluationReport = {
  evaluation,
  against: { ...evaluation, run_id: 'r1', version: '1' },
  task: 'classification',
  rows: 400,
  metrics: [accuracy],
  groups: [{ ...accuracy, group: 'region', value: 'north', difference: null }],
  judged: 14,
  notes: ['This data set has judged 14 versions; its verdicts grow optimistic.']
};

describe('the evaluations of a version', () => {
  afterEach(cleanup);

  it('show each metric with its difference and verdict, and follow events', async () => {
    const bench = new Bench({
      'GET /models/digits/versions/2/evaluations': [report]
    });
    const onEvaluate = jest.fn();
    const { container } = render(
      <VersionEvaluations
        core={bench.core}
        name="digits"
        version="2"
        onEvaluate={onEvaluate}
      />
    );
    await act(settle);
    expect(container.textContent).toContain('holdout.parquet@01234567');
    expect(container.textContent).toContain('0.937 (0.913 to 0.961)');
    expect(container.textContent).toContain(
      '+0.008 (-0.0042 to +0.0203) against version 1'
    );
    expect(container.textContent).toContain(
      'within chance; 1900 more rows would show it'
    );
    expect(container.textContent).toContain('grow optimistic');
    expect(screen.getByText('Accuracy by region')).not.toBeNull();
    fireEvent.click(
      screen.getByRole('button', { name: 'Evaluate digits version 2…' })
    );
    expect(onEvaluate).toHaveBeenCalledTimes(1);
    bench.answers['GET /models/digits/versions/2/evaluations'] = [];
    await act(async () => {
      bench.change('evaluation', 'r3');
      await settle();
    });
    expect(container.textContent).toContain('was not evaluated');
    bench.dispose();
  });
});

describe('the form of an evaluation', () => {
  afterEach(cleanup);

  it('compares with the champion, offers known data, and asks for trust', async () => {
    const sent: unknown[] = [];
    const check = {
      version: '2',
      digest: 'sha256:ab',
      title: 'Loading this model runs code.',
      findings: ['model.pkl is a pickle.'],
      reason: 'Your runs did not record these files.',
      advice: 'Load it only if you trust who made it.',
      verdict: 'code',
      flavors: ['sklearn'],
      loader: 'mlflow.sklearn',
      files: [{ path: 'model.pkl', size_bytes: 2048, sha256: 'ab' }]
    };
    const bench = new Bench({
      'GET /models/digits': {
        name: 'digits',
        versions: [
          { name: 'digits', version: '2', aliases: [] },
          { name: 'digits', version: '1', aliases: ['champion'] }
        ]
      },
      'GET /evaluations': page([evaluation, evaluation]),
      'GET /targets': [
        { name: 'box', state: 'up' },
        { name: 'far', state: 'idle' }
      ],
      'POST /evaluations': (body: unknown) => {
        sent.push(body);
        return sent.length === 1
          ? new Refusal(409, 'confirmation_needed', 'It needs it.', '', {
              checks: [check]
            })
          : { task: { id: 't', title: 'Evaluate' }, model: 'digits' };
      }
    });
    const form = new EvaluateForm(
      new EvaluationsService(bench.core.api),
      'digits',
      '2',
      trans
    );
    await form.load();
    expect(form.fields.against).toBe('1');
    expect(form.fields.known).toEqual(['holdout.parquet@01234567']);
    form.set({ groups: ' region, age ,', label: 'y ' });
    expect(await form.submit()).toBe(false);
    expect(sent[0]).toMatchObject({
      data: 'holdout.parquet@01234567',
      against: '1',
      label: 'y',
      groups: ['region', 'age'],
      on: '',
      trust: []
    });
    expect(form.valid).toBe(false);
    render(<EvaluateFields form={form} trans={trans} />);
    for (const text of [
      'Version 2: Loading this model runs code.',
      'model.pkl is a pickle.',
      'Your runs did not record these files.',
      'Load it only if you trust who made it.',
      'mlflow.sklearn',
      '1 file, 2.0 KiB',
      'model.pkl'
    ]) {
      expect(screen.getByText(text)).toBeTruthy();
    }
    expect(form.snapshot.error).toMatchObject({
      message: 'Files of an unknown origin need your confirmation.',
      hint: 'Confirm above that you trust them, then evaluate.'
    });
    fireEvent.click(screen.getByRole('checkbox'));
    // Only a connected target can be chosen.
    const where = screen.getByRole('combobox', { name: 'Where' });
    expect(
      [...where.querySelectorAll('option')].map(each => [
        each.textContent,
        each.disabled
      ])
    ).toEqual([
      ['This machine', false],
      ['box', false],
      ['far (not connected)', true]
    ]);
    fireEvent.change(where, { target: { value: 'box' } });
    expect(await form.submit()).toBe(true);
    expect(sent[1]).toMatchObject({ on: 'box', trust: ['sha256:ab'] });
    bench.dispose();
  });
});
