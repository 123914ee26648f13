import {
  act,
  cleanup,
  fireEvent,
  render,
  screen
} from '@testing-library/react';
import * as React from 'react';

import { ApiError } from '../../../core';
import type { RunTableModel } from '../model';
import { QueryBox } from '../view/query-box';

import { FakeTable, trans } from './support';

describe('the query', () => {
  let model: RunTableModel;

  beforeEach(() => {
    jest.useFakeTimers();
    model = new FakeTable(3).model();
  });

  afterEach(() => {
    cleanup();
    model.dispose();
    jest.useRealTimers();
  });

  const show = (query = '', error: ApiError | null = null) =>
    render(<QueryBox doubts={[]} {...{ model, query, error, trans }} />);

  const type = (value: string) =>
    fireEvent.change(screen.getByRole('combobox'), { target: { value } });

  it('is judged after a pause, or with Enter', () => {
    show();
    for (const text of ['a', 'ab', 'abc']) {
      type(text);
      act(() => jest.advanceTimersByTime(550));
    }
    expect(model.view.query).toBe('');
    act(() => jest.advanceTimersByTime(50));
    expect(model.view.query).toBe('abc');
    type('abcd');
    fireEvent.keyDown(screen.getByRole('combobox'), { key: 'Enter' });
    expect(model.view.query).toBe('abcd');
  });

  it('leaves the caret to who types on before the next frame', async () => {
    const option = { kind: 'metric', text: 'metrics.loss', detail: '' };
    jest
      .spyOn(model, 'completions')
      .mockResolvedValue([{ ...option, start: 0, end: 4 } as never]);
    show();
    const box = screen.getByRole<HTMLInputElement>('combobox');
    type('metr');
    await act(() => jest.advanceTimersByTimeAsync(100));
    fireEvent.click(screen.getByRole('option'));
    const taken = box.value;
    expect(taken).toContain('metrics.loss');
    type(`${taken}> 0`);
    await act(() => jest.advanceTimersByTimeAsync(50));
    expect(box.selectionStart).toBe(box.value.length);
  });

  it('shows what is wrong with the words around it', () => {
    const query = `${'a'.repeat(60)} ORR ${'b'.repeat(60)}`;
    const details = { position: 61, length: 3 };
    const message = 'Did you mean OR?';
    show(query, new ApiError({ status: 400, code: 'query', message, details }));
    const told = screen.getByRole('alert').textContent;
    expect(told).toBe(`…${'a'.repeat(23)} ORR ${'b'.repeat(23)}…${message} `);
  });
});
