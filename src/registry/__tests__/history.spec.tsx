import {
  act,
  cleanup,
  fireEvent,
  render,
  screen,
  within
} from '@testing-library/react';
import * as React from 'react';

import {
  Bench,
  Refusal,
  page,
  settle,
  trans
} from '../../tasks/__tests__/support';
import type { IAliasMove } from '../history';
import { HistoryModel } from '../history';
import { History } from '../view/history';

const move = (part: Partial<IAliasMove>): IAliasMove => ({
  id: 'm1',
  model: 'digits',
  alias: 'champion',
  from_version: '1',
  to_version: '2',
  kind: 'lab',
  at: Date.now() / 1000 - 120,
  since: null,
  who: 'ada',
  reason: '',
  evidence: {},
  ...part
});

describe('the alias history', () => {
  let bench: Bench;
  let model: HistoryModel;

  beforeEach(() => {
    bench = new Bench({
      'GET /models/digits/moves': page([
        move({ id: 'm4', from_version: '2', to_version: '', who: 'bob' }),
        move({
          id: 'm3',
          alias: 'best',
          from_version: null,
          kind: 'found',
          who: ''
        }),
        move({ id: 'm2', kind: 'outside', since: 1.7e9, at: 1.7e9 + 60 }),
        move({ id: 'm1', from_version: '', to_version: '1', reason: 'first' })
      ]),
      'POST /models/digits/aliases/champion/revert': {}
    });
    model = new HistoryModel(bench.core, 'digits');
  });

  afterEach(() => {
    cleanup();
    model.dispose();
    bench.dispose();
  });

  async function show(): Promise<HTMLElement[]> {
    model.visible = true;
    render(<History model={model} trans={trans} />);
    await act(() => settle());
    return screen.getAllByRole('listitem');
  }

  it('says who moved what, why, and what was moved outside when', async () => {
    const [removed, found, outside, first] = await show();
    expect(within(removed).getByText('bob')).toBeTruthy();
    expect(
      within(removed).getByText('from version 2 to no version')
    ).toBeTruthy();
    expect(within(found).queryByRole('button')).toBeNull();
    expect(within(outside).getByText('Outside GenOps Lab')).toBeTruthy();
    expect(within(outside).getByText(/^Between .* and /)).toBeTruthy();
    expect(within(first).getByText('first')).toBeTruthy();
    expect(within(first).queryByRole('button')).toBeNull();
  });

  it('moves an alias back from where the page shows it', async () => {
    await show();
    const back = () => screen.getByRole('button', { name: 'Back to v2' });
    fireEvent.click(back());
    await act(() => settle());
    const at = bench.calls.indexOf(
      'POST /models/digits/aliases/champion/revert'
    );
    expect(bench.bodies[at]).toEqual({ reason: '', expected: '' });
    expect(bench.count('GET /models/digits/moves')).toBe(2);
    bench.answers['POST /models/digits/aliases/champion/revert'] = new Refusal(
      409,
      'version_deleted',
      'Version 2 was deleted.'
    );
    fireEvent.click(back());
    await act(() => settle());
    expect(bench.count('GET /models/digits/moves')).toBe(3);
  });

  it('shows one alias, and follows changes while visible', async () => {
    await show();
    fireEvent.change(screen.getByRole('combobox', { name: 'Alias' }), {
      target: { value: 'best' }
    });
    await act(() => settle());
    expect(model.alias).toBe('best');
    expect(model.aliases).toEqual(['best', 'champion']);
    const before = bench.count('GET /models/digits/moves');
    bench.change('model', 'digits');
    await act(() => settle());
    expect(bench.count('GET /models/digits/moves')).toBe(before + 1);
  });
});
