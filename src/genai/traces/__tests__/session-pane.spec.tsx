import { nullTranslator } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';
import { fireEvent, render, screen } from '@testing-library/react';
import * as React from 'react';

import type { ISession, ISessionTrace } from '../service';
import { MOST_OF_SESSION } from '../service';
import { SessionPane } from '../view/session-pane';

const trans = nullTranslator.load('genops_lab');

function trace(id: string, said: string, is_cut = false): ISessionTrace {
  const text = { text: said, characters: 9000, is_cut, is_json: false };
  const turn = { role: 'user', text, is_answer: false, call_id: '' };
  return {
    trace_id: id,
    name: 'turn',
    status: 'OK',
    experiment: 'shop',
    started_at: null,
    duration: 1.5,
    tokens: null,
    cost: null,
    turns: [{ ...turn, tool_calls: [], pictures: [] }],
    problem: ''
  };
}

async function shown(part: Partial<ISession>) {
  const session = {
    session: 'anna',
    traces: [trace('tr-1', 'Where is it?'), trace('tr-2', 'And when?', true)],
    traces_total: 2,
    failed: 0,
    started_at: null,
    ended_at: null,
    tokens: null,
    cost: null,
    cost_is_partial: false,
    experiments: ['shop'],
    ...part
  };
  const service = { session: jest.fn(() => Promise.resolve(session)) };
  const onOpen = jest.fn();
  const changed = new Signal<object, void>({});
  const events = { changed: () => changed, resync: changed };
  render(
    <SessionPane
      session="anna"
      experiment=""
      seen
      service={service as never}
      events={events as never}
      onOpen={onOpen}
      onClose={() => undefined}
      trans={trans}
    />
  );
  const talk = await screen.findByRole('list', { name: 'Conversation' });
  return { service, onOpen, talk };
}

it('shows traces in order, each of which opens', async () => {
  const { onOpen, talk } = await shown({});
  expect(talk.textContent).toMatch(/^1.*Where is it\?.*2.*And when\?/);
  fireEvent.click(screen.getAllByRole('button', { name: 'Open trace' })[1]);
  expect(onOpen).toHaveBeenCalledWith('tr-2');
});

it('says what the totals have and what is not shown', async () => {
  await shown({
    traces_total: 12,
    failed: 3,
    cost: 0.5,
    cost_is_partial: true,
    experiments: ['another', 'shop']
  });
  screen.getByText('12 traces');
  screen.getByText('3 failed');
  screen.getByText('at least 0.5 USD');
  screen.getByText(
    'Traces of several experiments use this session id: another, shop.'
  );
  screen.getByText(
    'The first 10 traces are not shown. The totals include them.'
  );
  expect(
    screen.getByRole('list', { name: 'Conversation' }).getAttribute('start')
  ).toBe('11');
});

it('fetches long texts on demand', async () => {
  const { service } = await shown({});
  fireEvent.click(screen.getByRole('button', { name: 'Show all' }));
  await screen.findByRole('list', { name: 'Conversation' });
  expect(service.session).toHaveBeenLastCalledWith(
    'anna',
    '',
    MOST_OF_SESSION,
    expect.anything()
  );
});
