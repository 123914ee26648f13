import { cleanup, render, screen } from '@testing-library/react';
import { nullTranslator } from '@jupyterlab/translation';
import * as React from 'react';

import { StatusLine } from '../view/status-line';
import type { IWindowsSnapshot } from '../windows';

import { FakeTable } from './support';

afterEach(cleanup);

const shown = (changes: Partial<FakeTable['state']>): string => {
  const state = { ...new FakeTable(8).state, ...changes };
  const snapshot = { matched: 8, total: 8, groups: null, state };
  render(
    <StatusLine
      snapshot={snapshot as unknown as IWindowsSnapshot}
      selected={0}
      totals="8 runs"
      of="Selected runs"
      onClear={() => undefined}
      trans={nullTranslator.load('genops_lab')}
    />
  );
  return screen.getByTitle(/^Includes all changes before/).textContent ?? '';
};

it('says that runs of an earlier time are being refreshed', () => {
  expect(shown({ refreshing: true })).toMatch(/as of .* ago · refreshing…$/);
  cleanup();
  expect(shown({})).toMatch(/as of .* ago$/);
});

it('names where runs are read from, and that no change is missing', () => {
  const now = { as_of: Date.now() / 1000 };
  expect(shown({ ...now, source: 'postgresql' })).toBe(
    "read from MLflow's database · up to date"
  );
  cleanup();
  expect(shown({ ...now, problem: 'away' })).not.toContain('up to date');
});
