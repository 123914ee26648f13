import {
  RenderMimeRegistry,
  standardRendererFactories as initialFactories
} from '@jupyterlab/rendermime';
import {
  cleanup,
  fireEvent,
  render,
  screen,
  waitFor
} from '@testing-library/react';
import * as React from 'react';

import { Bench, Refusal, settle, trans } from '../../tasks/__tests__/support';
import type { IDescribed } from '../describing';
import { ownTags } from '../describing';
import { Described } from '../view/described';

const PLACE = 'PUT /models/digits/versions/3/description';
const FULL = 'digits version 3';

describe('the description of a version', () => {
  let bench: Bench;
  let sent: unknown[];
  const onSaved = jest.fn(() => Promise.resolve());

  beforeEach(() => {
    jest.clearAllMocks();
    sent = [];
    bench = new Bench({
      [PLACE]: (body: unknown) => {
        sent.push(body);
        return {};
      }
    });
  });

  afterEach(() => {
    cleanup();
    bench.dispose();
  });

  async function show(part: Partial<IDescribed> = {}): Promise<void> {
    const described: IDescribed = {
      name: 'digits',
      version: '3',
      description: 'See **this**',
      tags: { team: 'vision' },
      ...part
    };
    const rendermime = new RenderMimeRegistry({ initialFactories });
    const { api } = bench.core;
    render(
      <Described
        {...{ described, full: FULL, api, rendermime, onSaved, trans }}
      />
    );
    await settle();
  }

  const press = (name: string) =>
    fireEvent.click(screen.getByRole('button', { name }));
  const box = () => screen.getByRole<HTMLTextAreaElement>('textbox');

  it('is written with Ctrl Enter, with the text that was seen', async () => {
    await show();
    press(`Edit description of ${FULL}…`);
    expect(document.activeElement).toBe(box());
    expect(box().value).toBe('See **this**');
    fireEvent.change(box(), { target: { value: 'Better' } });
    fireEvent.keyDown(box(), { key: 'Enter', ctrlKey: true });
    await waitFor(() => expect(screen.queryByRole('textbox')).toBeNull());
    expect(sent).toEqual([
      {
        description: 'Better',
        expected: 'See **this**',
        tags: {},
        untag: [],
        expected_tags: {}
      }
    ]);
    expect(onSaved).toHaveBeenCalledTimes(1);
  });

  it('stays as it was after Escape', async () => {
    await show({ description: '' });
    press(`Add description of ${FULL}…`);
    fireEvent.change(box(), { target: { value: 'unsaved' } });
    fireEvent.keyDown(box(), { key: 'Escape' });
    expect(screen.queryByRole('textbox')).toBeNull();
    expect(sent).toEqual([]);
  });

  it('shows what somebody else wrote meanwhile, and replaces only that', async () => {
    bench.answers[PLACE] = new Refusal(409, 'changed', 'It was changed.', '', {
      now: 'Theirs'
    });
    await show();
    press(`Edit description of ${FULL}…`);
    fireEvent.change(box(), { target: { value: 'Mine' } });
    press('Save');
    expect((await screen.findByRole('alert')).textContent).toContain(
      'It was changed.'
    );
    expect(screen.getByText('Theirs')).toBeTruthy();
    expect(box().value).toBe('Mine');
    bench.answers[PLACE] = (body: unknown) => {
      sent.push(body);
      return {};
    };
    press('Replace');
    await waitFor(() => expect(screen.queryByRole('textbox')).toBeNull());
    expect(sent).toMatchObject([{ description: 'Mine', expected: 'Theirs' }]);
  });

  it('has tags that are added, changed and removed', async () => {
    await show();
    press(`Add tag to ${FULL}…`);
    const [name, value] = screen.getAllByRole('textbox');
    fireEvent.change(name, { target: { value: 'stage' } });
    fireEvent.change(value, { target: { value: 'new' } });
    fireEvent.keyDown(value, { key: 'Enter' });
    const chip = { name: 'Edit the tag team: vision' };
    fireEvent.click(await screen.findByRole('button', chip));
    press('Remove tag');
    await screen.findByRole('button', chip);
    expect(sent).toMatchObject([
      { tags: { stage: 'new' }, expected_tags: { stage: null } },
      { untag: ['team'], expected_tags: { team: 'vision' } }
    ]);
  });

  it('takes tags of people from the columns of the table', () => {
    const row = new Map([
      ['tags.team', 'vision'],
      ['tags.genops.gates', '{}'],
      ['tags.mlflow.user', 'ada'],
      ['tags.none', null],
      ['model', 'digits']
    ]);
    expect(ownTags(row)).toEqual({ team: 'vision' });
  });
});
