import { nullTranslator } from '@jupyterlab/translation';
import { act, fireEvent, screen } from '@testing-library/react';

import { FormModel } from '../form';
import { openForm } from '../ui/form-dialog';
import { keepFocus } from '../ui/keep-focus';

const trans = nullTranslator.load('genops_lab');

/** jsdom lays nothing out: all that is attached counts as seen. */
beforeAll(() => {
  jest
    .spyOn(Element.prototype, 'getClientRects')
    .mockReturnValue([{}] as unknown as DOMRectList);
});

function page(html: string): { root: HTMLElement; dispose: () => void } {
  document.body.innerHTML = `<div id="root" tabindex="-1">${html}</div><button id="other"></button>`;
  const root = document.getElementById('root')!;
  const kept = keepFocus(root);
  return { root, dispose: () => kept.dispose() };
}

function node(id: string): HTMLButtonElement {
  return document.getElementById(id) as HTMLButtonElement;
}

/** Let the observer look. */
async function settled(): Promise<void> {
  await Promise.resolve();
  await Promise.resolve();
}

const CARD = `<button id="first"></button>
  <div id="actions"><button id="connect"></button><button id="remove"></button></div>`;

describe('keepFocus', () => {
  it('gives the focus to the control that took the place of the removed one', async () => {
    page(CARD);
    node('connect').focus();
    node('connect').remove();
    await settled();
    expect(document.activeElement).toBe(node('remove'));
  });

  it('goes outwards where nothing is left inside', async () => {
    page(CARD);
    node('connect').focus();
    node('actions').remove();
    await settled();
    expect(document.activeElement).toBe(node('first'));
  });

  it('falls back to the root', async () => {
    const { root } = page('<button id="only"></button>');
    node('only').focus();
    node('only').remove();
    await settled();
    expect(document.activeElement).toBe(root);
  });

  it('comes back when a disabled control is enabled again', async () => {
    page(CARD);
    node('connect').focus();
    node('connect').disabled = true;
    await settled();
    expect(document.activeElement).toBe(node('remove'));
    node('connect').disabled = false;
    await settled();
    expect(document.activeElement).toBe(node('connect'));
  });

  it('leaves a focus alone that went elsewhere', async () => {
    page(CARD);
    node('connect').focus();
    node('other').focus();
    await settled();
    node('connect').remove();
    await settled();
    expect(document.activeElement).toBe(node('other'));
  });

  it('ends with its owner', async () => {
    const { dispose } = page(CARD);
    node('connect').focus();
    dispose();
    node('connect').remove();
    await settled();
    expect(document.activeElement).toBe(document.body);
  });
});

class Removal extends FormModel<object, string> {
  readonly valid = true;

  protected send(): Promise<string> {
    node('connect').remove();
    return Promise.resolve('done');
  }
}

describe('a form', () => {
  it('whose opener went with what it changed gives the focus to its neighbour', async () => {
    page(CARD);
    node('connect').focus();
    const form = new Removal({}, trans);
    const title = 'Remove';
    const closed = openForm({
      title,
      form,
      render: () => null!,
      action: title,
      trans
    });
    await screen.findByText('Cancel');
    await act(async () => {
      fireEvent.click(document.querySelector('.jp-mod-accept')!);
      await closed;
    });
    expect(document.activeElement).toBe(node('remove'));
  });
});
