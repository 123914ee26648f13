import { cleanup, render, screen } from '@testing-library/react';
import * as React from 'react';

import type { IProfileSummary } from '../../service';
import { Lines } from '../lines/lines';
import { Tables } from '../tables/tables';

import {
  FakePlaces,
  makeKernel,
  makeOperator,
  makeSummary,
  trans
} from './support';

class NoObserver {
  observe = (): void => undefined;
  unobserve = (): void => undefined;
  disconnect = (): void => undefined;
}

describe('what a report of Nsight Compute lacks', () => {
  beforeAll(() => {
    globalThis.ResizeObserver ??= NoObserver as typeof ResizeObserver;
  });

  afterEach(cleanup);

  function showLines(measured: boolean): void {
    render(
      <Lines
        attribution={null}
        measured={measured}
        places={new FakePlaces()}
        notebook=""
        onGutter={() => undefined}
        trans={trans}
      />
    );
  }

  it('explains how to measure lines, not how to trace them', () => {
    showLines(true);
    expect(
      screen.getByText(
        /Use %%profile in a notebook whose kernel runs under Nsight Compute, or ncu --call-stack/
      )
    ).toBeTruthy();
    expect(screen.queryByText(/torch.profiler/)).toBeNull();
    cleanup();
    showLines(false);
    expect(screen.getByText(/torch.profiler with with_stack/)).toBeTruthy();
    expect(screen.queryByText(/Nsight|ncu/)).toBeNull();
  });

  function openedOn(part: Partial<IProfileSummary>): string {
    cleanup();
    render(
      <Tables summary={makeSummary(part)} onInsert={null} trans={trans} />
    );
    return screen.getByRole('button', { pressed: true }).textContent ?? '';
  }

  it('opens on its kernels where there are no operators', () => {
    const kernels = [makeKernel({})];
    expect(openedOn({ kernels })).toBe('GPU kernels');
    expect(openedOn({ kernels, operators: [makeOperator({})] })).toBe(
      'Operators'
    );
    expect(openedOn({})).toBe('Operators');
  });
});
