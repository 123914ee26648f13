import {
  act,
  cleanup,
  fireEvent,
  render,
  screen
} from '@testing-library/react';
import * as React from 'react';

import { Bench, Refusal, settle, trans } from '../../tasks/__tests__/support';
import { PromoteForm } from '../promoting';
import type { IGateReport } from '../service';
import { GatesService } from '../service';
import { PromoteFields } from '../view/promote-form';
import { VersionGates } from '../view/version-gates';

const digits = { name: 'digits', version: '2' };
const SENTENCE =
  'Fail: accuracy is 0.8 points higher, within chance; 1,900 more examples would show it.';

const report = (part: Partial<IGateReport> = {}): IGateReport => ({
  model: 'digits',
  version: '2',
  verdict: 'fail',
  headline: SENTENCE,
  rules: [
    {
      name: 'better accuracy',
      rule: 'better',
      verdict: 'not_enough_data',
      clause: 'accuracy is 0.8 points higher',
      detail: 'The rule asks for a higher accuracy.',
      data: 'holdout',
      metric: 'accuracy',
      estimate: 0.008,
      low: null,
      high: null,
      confidence: null,
      bound: null,
      n: 1800,
      left_out: 0,
      p: null,
      alpha: 0.05,
      more: 1843,
      method: '',
      slices: [],
      cluster: '',
      clusters: 0,
      too_small: ['C (12)'],
      examples: [],
      chosen_by: ''
    }
  ],
  against: '1',
  alias: 'champion',
  file: 'gates.yaml',
  hash: 'ab',
  hash_before: '',
  commit: '',
  notes: ['A note.'],
  data: [],
  looks: 1,
  at: 1,
  run: '',
  program: '',
  picture: '',
  ...part
});

const FILE = 'GET /api/contents/gates.yaml';
const GATES = '/models/digits/versions/2/gates';
const PROMOTE = 'POST /models/digits/versions/2/promote';

describe('the verdict on a version', () => {
  let bench: Bench;

  afterEach(() => {
    cleanup();
    bench.dispose();
  });

  const show = async (answer: unknown): Promise<void> => {
    bench = new Bench({ [`GET ${GATES}`]: answer });
    render(
      <VersionGates version={digits} api={bench.core.api} trans={trans} />
    );
    await act(() => settle());
  };

  it('has the sentence of the server, its rules and the groups that are too small', async () => {
    await show(report());
    screen.getByText(SENTENCE);
    fireEvent.click(screen.getByText('1 rule'));
    screen.getByText('Not enough data');
    screen.getByText('Groups too small: C (12)');
    screen.getByText('A note.');
    expect(screen.queryByRole('img', { name: /Intervals/ })).toBeNull();
  });

  it('has the picture of its rules, which cannot run a script in the page', async () => {
    await show(report({ picture: '<svg><title>100 %</title></svg>' }));
    fireEvent.click(screen.getByText('1 rule'));
    expect(
      screen.getByRole('img', { name: /Intervals/ }).getAttribute('src')
    ).toBe(
      'data:image/svg+xml;charset=utf-8,%3Csvg%3E%3Ctitle%3E100%20%25%3C%2Ftitle%3E%3C%2Fsvg%3E'
    );
  });

  it('is missing before the first check', async () => {
    await show(new Refusal(404, 'not_found', 'No gate has judged it.'));
    screen.getByText('No gate has judged this version.');
    screen.getByRole('button', { name: 'Promote digits version 2…' });
  });

  it('says that MLflow is away', async () => {
    await show(new Refusal(503, 'unavailable', 'MLflow does not answer.'));
    screen.getByText(/MLflow does not answer/);
  });
});

describe('the promotion', () => {
  let bench: Bench;
  let form: PromoteForm;

  afterEach(() => {
    cleanup();
    bench.dispose();
  });

  const open = (answers: Record<string, unknown>): void => {
    bench = new Bench({
      [FILE]: { content: 'kind: Gates' },
      ...answers
    });
    form = new PromoteForm(
      new GatesService(bench.core.api, digits, trans),
      trans
    );
    const { rerender } = render(<PromoteFields form={form} trans={trans} />);
    form.changed.connect(() =>
      rerender(<PromoteFields form={form} trans={trans} />)
    );
  };

  const check = async (): Promise<void> => {
    fireEvent.click(screen.getByRole('button', { name: 'Check gates' }));
    await act(() => settle());
  };

  it('shows the verdict before the move, and refuses a red one', async () => {
    open({ [`POST ${GATES}`]: report() });
    expect(form.valid).toBe(false);
    await check();
    screen.getByText(SENTENCE);
    expect(form.valid).toBe(false);
    expect(bench.bodies[1]).toMatchObject({
      text: 'kind: Gates',
      file: 'gates.yaml',
      folder: ''
    });
  });

  it('moves the alias after a pass, with a reason', async () => {
    open({
      [`POST ${GATES}`]: report({ verdict: 'pass', headline: 'Pass.' }),
      [PROMOTE]: { report: null, moved: true, already: false }
    });
    await check();
    fireEvent.change(screen.getByLabelText('Reason (optional)'), {
      target: { value: ' better ' }
    });
    expect(form.valid).toBe(true);
    expect(await act(() => form.submit())).toBe(true);
    expect(bench.bodies[2]).toMatchObject({
      alias: 'champion',
      reason: 'better',
      text: 'kind: Gates'
    });
  });

  it('says that MLflow is slow, and ends the check when the form is closed', async () => {
    jest.useFakeTimers();
    const asked = jest.spyOn(GatesService.prototype, 'check');
    open({ [`POST ${GATES}`]: () => new Promise(() => undefined) });
    fireEvent.click(screen.getByRole('button', { name: 'Check gates' }));
    await act(() => jest.advanceTimersByTimeAsync(5100));
    screen.getByText(
      'MLflow is slow: waiting for the verdict. Cancel stops the wait.'
    );
    const signal = asked.mock.calls[0][1];
    expect(signal?.aborted).toBe(false);
    form.stop();
    expect(signal?.aborted).toBe(true);
    asked.mockRestore();
    jest.useRealTimers();
  });

  it('shows the new verdict of a version that does not pass any more', async () => {
    open({
      [`POST ${GATES}`]: report({ verdict: 'pass', headline: 'Pass.' }),
      [PROMOTE]: { report: report(), moved: false, already: false }
    });
    await check();
    expect(await act(() => form.submit())).toBe(false);
    expect(form.snapshot.error?.message).toMatch(/does not pass any more/);
    screen.getByText(SENTENCE);
  });

  it('forgets the verdict of another file, and names a file that is missing', async () => {
    open({
      [`POST ${GATES}`]: report({ verdict: 'pass', headline: 'Pass.' }),
      'GET /api/contents/other.yaml': new Refusal(404, '', 'No such file')
    });
    await check();
    fireEvent.change(screen.getByLabelText('Gate file'), {
      target: { value: 'other.yaml' }
    });
    expect(form.valid).toBe(false);
    await check();
    expect(form.snapshot.error?.message).toBe(
      'The gate file other.yaml cannot be read.'
    );
    expect(form.snapshot.error?.hint).toMatch(/genops gates init/);
  });
});
