import { cleanup, render, screen } from '@testing-library/react';
import { nullTranslator } from '@jupyterlab/translation';
import * as React from 'react';

import { StatusLine } from '../view/status-line';
import type { IWindowsSnapshot } from '../windows';

import { FakeTable } from './support';

afterEach(cleanup);

const shown = (refreshing: boolean): string => {
  const table = new FakeTable(8);
  table.refreshing = refreshing;
  const snapshot = { matched: 8, total: 8, groups: null, state: table.state };
  render(
    <StatusLine
      snapshot={snapshot as unknown as IWindowsSnapshot}
      selected={0}
      deleted={false}
      {...(handlers as Handlers)}
      trans={nullTranslator.load('genops_lab')}
    />
  );
  return screen.getByTitle(/^Each change before/).textContent ?? '';
};

type Handlers = Omit<
  StatusLine.IProps,
  'snapshot' | 'selected' | 'deleted' | 'trans'
>;
const handlers = {};

it('says that runs of an earlier time are being refreshed', () => {
  expect(shown(true)).toMatch(/as of .* ago · refreshing…$/);
  cleanup();
  expect(shown(false)).toMatch(/as of .* ago$/);
});
