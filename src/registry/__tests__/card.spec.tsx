import {
  RenderMimeRegistry,
  standardRendererFactories as initialFactories
} from '@jupyterlab/rendermime';
import {
  act,
  cleanup,
  fireEvent,
  render,
  screen,
  within
} from '@testing-library/react';
import * as React from 'react';

import { Bench, Refusal, settle, trans } from '../../tasks/__tests__/support';
import type { ICard } from '../card';
import { CardModel, bodyOf } from '../card';
import { CardPage } from '../view/card';

const CARD = '/models/digits/versions/3/card';

const card = (part: Partial<ICard> = {}): ICard => ({
  name: 'digits',
  version: '3',
  text: '',
  metadata: 'tags:\n- mlflow\n',
  sections: [
    {
      id: 'uses',
      title: 'Uses',
      text: '## Uses\n\n> **Missing: intended use.** Write it.',
      written: false
    },
    {
      id: 'contact',
      title: 'Contact',
      text: '## Contact\n\nAda',
      written: true
    }
  ],
  missing: [
    { section: 'uses', what: 'intended use' },
    { section: 'details', what: 'license' }
  ],
  kept: false,
  digest: '',
  ...part
});

describe('the card of a version', () => {
  let bench: Bench;
  let model: CardModel;

  beforeEach(async () => {
    bench = new Bench({
      [`GET ${CARD}`]: card(),
      [`PUT ${CARD}`]: card({ kept: true, digest: 'd1' }),
      [`PUT ${CARD}/sections/uses`]: card({ kept: true, digest: 'd1' }),
      [`PUT ${CARD}/sections/contact`]: card()
    });
    model = new CardModel(bench.core, 'digits', '3');
    model.visible = true;
    const rendermime = new RenderMimeRegistry({ initialFactories });
    render(<CardPage {...{ model, rendermime, trans }} />);
    await settle();
  });

  afterEach(() => {
    cleanup();
    model.dispose();
  });

  it('lists what is missing, and opens the section in which it belongs', async () => {
    expect(screen.getByText('Missing: 2 parts of the card')).toBeTruthy();
    fireEvent.click(screen.getByRole('button', { name: 'intended use' }));
    const box = screen.getByRole('textbox') as HTMLTextAreaElement;
    expect(box.value).toBe('> **Missing: intended use.** Write it.');
    expect(document.activeElement).toBe(box);
    fireEvent.click(screen.getByRole('button', { name: 'license' }));
    expect((screen.getByRole('textbox') as HTMLTextAreaElement).value).toBe(
      'tags:\n- mlflow\n'
    );
  });

  it('keeps what a person writes, for the card that they saw', async () => {
    fireEvent.click(screen.getByRole('button', { name: 'Edit Uses' }));
    const box = screen.getByRole('textbox');
    fireEvent.change(box, { target: { value: 'Post offices' } });
    bench.answers[`GET ${CARD}`] = card({ kept: true, digest: 'd1' });
    fireEvent.keyDown(box, { key: 'Enter', ctrlKey: true });
    await settle();
    expect(bench.bodies).toContainEqual({ text: 'Post offices', expected: '' });
    expect(screen.queryByRole('textbox')).toBeNull();
    expect(screen.getByText('Kept')).toBeTruthy();
  });

  it('keeps the text in the box when somebody else changed the card', async () => {
    bench.answers[`PUT ${CARD}/sections/uses`] = new Refusal(
      409,
      'card_changed',
      'Somebody else changed the card.',
      'Copy your text.'
    );
    fireEvent.click(screen.getByRole('button', { name: 'Edit Uses' }));
    fireEvent.change(screen.getByRole('textbox'), {
      target: { value: 'Mine' }
    });
    fireEvent.click(screen.getByRole('button', { name: 'Save' }));
    await settle();
    expect(screen.getByRole('alert').textContent).toBe(
      'Somebody else changed the card. Copy your text.'
    );
    expect((screen.getByRole('textbox') as HTMLTextAreaElement).value).toBe(
      'Mine'
    );
    fireEvent.keyDown(screen.getByRole('textbox'), { key: 'Escape' });
    expect(screen.queryByRole('textbox')).toBeNull();
  });

  it('makes a section anew that a person wrote', async () => {
    const section = screen.getByRole('region', { name: 'Contact' });
    expect(within(section).getByText('Written by a person')).toBeTruthy();
    fireEvent.click(screen.getByRole('button', { name: 'Edit Contact' }));
    fireEvent.click(screen.getByRole('button', { name: 'Make anew' }));
    await settle();
    expect(bench.bodies).toContainEqual({ text: '', expected: '' });
  });

  it('keeps the card as it is shown', async () => {
    await act(async () => {
      fireEvent.click(screen.getByRole('button', { name: 'Keep card' }));
    });
    await settle();
    expect(bench.count(`PUT ${CARD}`)).toBe(1);
  });
});

it('leaves the heading of a section to the page', () => {
  const section = { id: 'a', title: 'A', written: false };
  expect(bodyOf({ ...section, text: '## A\n\n### B\ntext' })).toBe(
    '### B\ntext'
  );
  expect(bodyOf({ ...section, text: 'text' })).toBe('text');
});
