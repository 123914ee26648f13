import {
  act,
  cleanup,
  fireEvent,
  render,
  screen
} from '@testing-library/react';
import * as React from 'react';

import { MediaModel } from '../model';
import type { IRunMedia } from '../service';
import { MediaView } from '../view/media';

import { makeHistograms, makeMedia, trans } from './support';

describe('media by step', () => {
  let answers: Record<string, IRunMedia>;
  let model: MediaModel;
  const service = {
    media: jest.fn((runId: string) => Promise.resolve(answers[runId])),
    histograms: jest.fn((run_id: string) =>
      Promise.resolve(
        makeHistograms(4, { run_id, low: run_id === 'run0' ? -1 : -5 })
      )
    ),
    artifact: jest.fn((_runId: string, _path: string) =>
      Promise.resolve(new Uint8Array([1]))
    ),
    artifactUrl: (runId: string, path: string) => `/x/${runId}?path=${path}`
  };

  beforeEach(() => {
    jest.clearAllMocks();
    // All is in sight.
    window.IntersectionObserver = class {
      constructor(private _tell: (entries: unknown[]) => void) {}
      observe = () => this._tell([{ isIntersecting: true }]);
      disconnect = () => undefined;
    } as unknown as typeof IntersectionObserver;
    URL.createObjectURL = jest.fn(() => 'blob:one');
    URL.revokeObjectURL = jest.fn();
    answers = { run0: makeMedia('run0', [0, 5]), run1: makeMedia('run1', [0]) };
  });

  afterEach(() => {
    cleanup();
    model.dispose();
  });

  async function show(...runIds: string[]): Promise<void> {
    model = new MediaModel({ service, trans, runIds });
    const names = runIds.length > 1 ? runIds : undefined;
    await act(() => model.resource.refresh());
    await act(async () => {
      render(<MediaView {...{ model, service, names, trans }} />);
    });
  }

  const slider = () => screen.getByRole('slider', { name: 'Step' });

  it('shows the latest step, and the one that is chosen', async () => {
    await show('run0');
    expect(screen.getByRole('img', { name: 'samples at step 5' })).toBeTruthy();
    expect(slider().getAttribute('aria-valuetext')).toBe('step 30');
    expect(service.artifact.mock.calls.map(([, path]) => path)).toEqual([
      'images/p+step+5.png'
    ]);
    await act(async () => {
      fireEvent.change(slider(), { target: { value: '0' } });
    });
    expect(screen.getByRole('img', { name: 'samples at step 0' })).toBeTruthy();
    expect(
      screen.getByRole('img', {
        name: 'w: step 0 · 2 values from -1 to 1'
      })
    ).toBeTruthy();
  });

  it('follows a run that goes on, until a person looks at an earlier step', async () => {
    await show('run0');
    answers.run0 = makeMedia('run0', [0, 5, 50]);
    await act(() => model.resource.refresh());
    expect(
      screen.getByRole('img', { name: 'samples at step 50' })
    ).toBeTruthy();
    await act(async () => {
      fireEvent.change(slider(), { target: { value: '1' } });
    });
    answers.run0 = makeMedia('run0', [0, 5, 50, 60]);
    await act(() => model.resource.refresh());
    expect(screen.getByRole('img', { name: 'samples at step 5' })).toBeTruthy();
  });

  it('shows runs side by side at the same step, on one axis', async () => {
    await show('run0', 'run1');
    expect(
      screen.getByRole('img', { name: 'samples of run0 at step 5' })
    ).toBeTruthy();
    expect(
      screen.getByRole('img', { name: 'samples of run1 at step 0' })
    ).toBeTruthy();
    expect(screen.getAllByText('-5')).toHaveLength(2);
    expect(screen.queryByText('-1')).toBeNull();
  });

  it('says why a picture cannot be shown', async () => {
    service.artifact.mockRejectedValueOnce(new Error('It is gone.'));
    await show('run0');
    expect(screen.getByText('It is gone.')).toBeTruthy();
  });
});
