import {
  act,
  cleanup,
  fireEvent,
  render,
  screen,
  within
} from '@testing-library/react';
import * as React from 'react';

import { NO_MEDIA } from '../../media/__tests__/support';
import { ComparisonModel } from '../model';
import type { IComparisonQuery, IRunComparison } from '../service';
import { Comparison } from '../view/comparison';
import {
  columnName,
  differenceText,
  estimateText,
  letter
} from '../view/messages';

import { makeCell, makeComparison, trans } from './support';

describe('the comparison', () => {
  let answer: IRunComparison;
  let asked: IComparisonQuery[];
  let failure: Error | null;
  let model: ComparisonModel;
  const service = {
    artifact: jest.fn(() =>
      Promise.resolve(new TextEncoder().encode('<b>hello</b>'))
    ),
    artifactUrl: (runId: string, path: string) => `/x/${runId}?path=${path}`
  };

  const compareProfiles = jest.fn();

  beforeEach(() => {
    compareProfiles.mockClear();
    answer = makeComparison();
    asked = [];
    failure = null;
    service.artifact.mockClear();
    model = new ComparisonModel({
      service: {
        compare: body => {
          asked.push(body);
          return failure ? Promise.reject(failure) : Promise.resolve(answer);
        }
      },
      media: NO_MEDIA,
      trans,
      runIds: ['run0', 'run1']
    });
  });

  afterEach(() => {
    cleanup();
    model.dispose();
  });

  async function show(): Promise<void> {
    render(
      <Comparison
        model={model}
        service={service}
        onCompareProfiles={compareProfiles}
        trans={trans}
      />
    );
    await act(() => model.resource.refresh());
  }

  const section = (name: string) => screen.getByRole('region', { name });

  it('shows what differs, and what is equal when asked', async () => {
    await show();
    const rows = () =>
      within(section('Parameters'))
        .getAllByRole('rowheader')
        .map(node => node.textContent);
    expect(rows()).toEqual(['lr']);
    fireEvent.click(screen.getByLabelText('Show equal values'));
    expect(rows()).toEqual(['lr', 'width']);
  });

  it('keeps what was chosen when the server goes away and comes back', async () => {
    await show();
    fireEvent.click(screen.getByLabelText('Show equal values'));
    const kept = () =>
      screen.getByLabelText<HTMLInputElement>('Show equal values').checked;
    failure = new Error('away');
    await act(() => model.resource.refresh());
    expect(screen.getByText('The runs cannot be compared.')).toBeTruthy();
    expect(kept()).toBe(true);
    failure = null;
    await act(() => model.resource.refresh());
    expect(screen.queryByText('The runs cannot be compared.')).toBeNull();
    expect(kept()).toBe(true);
  });

  it('leads to the profiles of two runs that have both one', async () => {
    const [metric] = answer.metrics;
    await show();
    const button = () => screen.queryByRole('button', { name: /profiles/i });
    expect(button()).toBeNull();
    answer.metrics = [{ ...metric, name: 'profile/idle_percent' }];
    await act(() => model.resource.refresh());
    fireEvent.click(button()!);
    expect(compareProfiles).toHaveBeenCalledWith('run0', 'run1');
  });

  it('compares with another baseline', async () => {
    await show();
    expect(asked[0]).toEqual({
      run_ids: ['run0', 'run1'],
      baseline: 'run0',
      repeats: null
    });
    await act(async () => {
      fireEvent.click(screen.getByRole('button', { name: 'Make baseline' }));
    });
    expect(asked[1].baseline).toBe('run1');
    await act(async () => {
      fireEvent.click(screen.getByLabelText('Group repeats'));
    });
    expect(asked[2].repeats).toEqual([]);
  });

  it('puts cells side by side and tells how many are the same', async () => {
    await show();
    const code = section('Code');
    expect(within(code).getByText('1 cell or file is equal')).toBeTruthy();
    const marks = Array.from(code.querySelectorAll('mark'));
    expect(marks.map(node => node.textContent)).toEqual(['1', '2']);
  });

  it('shows a page in a frame that may do nothing', async () => {
    await show();
    await act(async () => {
      fireEvent.click(screen.getByRole('button', { name: 'page.html' }));
    });
    const frames = document.querySelectorAll('iframe');
    expect(frames.length).toBe(2);
    expect(frames[0].getAttribute('sandbox')).toBe('');
    expect(frames[0].srcdoc).toContain("default-src 'none'");
  });

  it('fetches nothing that is too large to show', async () => {
    answer.artifacts[0].columns[0].size_bytes = 2_000_000_000;
    await show();
    await act(async () => {
      fireEvent.click(screen.getByRole('button', { name: 'page.html' }));
    });
    expect(screen.getByText(/This file is larger than/)).toBeTruthy();
    expect(service.artifact.mock.calls.length).toBe(1);
  });

  it('claims nothing where the interval holds 0', async () => {
    answer.metrics[0].columns[1] = makeCell({
      difference: 0.1,
      low: -0.1,
      high: 0.3,
      verdict: 'unclear'
    });
    await show();
    expect(within(section('Metrics')).getByText('may be chance')).toBeTruthy();
  });
});

it('columns of the same name are told apart by their ids', () => {
  const comparison = makeComparison();
  expect(columnName(comparison, 1)).toBe('fox-1');
  comparison.columns[0].name = 'fox-1';
  expect(columnName(comparison, 1)).toBe('fox-1 run1');
});

it('figures are as precise as their intervals', () => {
  expect(estimateText({ n: 3, mean: 0.912345, margin: 0.0123 })).toBe(
    '0.912 ± 0.012'
  );
  expect(estimateText({ n: 0, mean: null, margin: null })).toBe('–');
  expect(
    differenceText(makeCell({ difference: 0.0512, low: 0.01, high: 0.0924 }))
  ).toBe('+0.051 [0.010, 0.092]');
  expect([0, 25, 26].map(letter)).toEqual(['A', 'Z', 'AA']);
});
