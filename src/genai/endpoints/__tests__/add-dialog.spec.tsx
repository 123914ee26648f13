import { nullTranslator } from '@jupyterlab/translation';
import { fireEvent, screen, waitFor } from '@testing-library/react';

import { dayOf, openAddEndpoint } from '../add-dialog';
import type { EndpointsService, IKnownPrice, INewEndpoint } from '../service';

const KNOWN = { input: 3, output: 15, currency: 'USD', date: '2026-05-01' };

describe('the dialog that adds an endpoint', () => {
  afterEach(async () => {
    const cancel = document.querySelector('.jp-mod-reject');
    if (cancel) {
      fireEvent.click(cancel);
    }
    await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull());
  });

  const type = (label: string | RegExp, value: string) =>
    fireEvent.change(screen.getByLabelText(label), { target: { value } });

  it('says at each field why it cannot be sent', async () => {
    const service = {
      secrets: () => Promise.resolve([]),
      price: () => Promise.resolve({ litellm: false, price: null })
    } as unknown as EndpointsService;
    void openAddEndpoint(service, nullTranslator.load('genops_lab'));
    await waitFor(() => screen.getByLabelText('Name'));
    const add = () =>
      document.querySelector<HTMLButtonElement>('.jp-mod-accept')!;
    type('Name', 'house');
    type('URL', 'https://api.example.com/v1');
    type('Model', 'm');
    await waitFor(() => expect(add().disabled).toBe(false));
    fireEvent.click(screen.getByText('Limits'));
    for (const [label, bad, good, said] of [
      ['Name', 'bad name!', 'house', /Use up to 100 letters/],
      ['Name', '-x', 'house', /Begin with a letter or a digit/],
      ['URL', 'api.example.com', 'https://a.example', /Write an address/],
      ['URL', 'https://a:b@c/v1', 'https://a.example', /Leave out user/],
      ['URL', 'http://a/v1/embeddings/', 'http://a/v1', /Leave out \/embedd/],
      ['Calls at once', '0', '8', /a whole number of 1 or more/],
      [/^Calls a minute/, '0', '', /Write a number above 0/],
      [/^Tokens an evaluation/, '1.5', '', /a whole number of 1 or more/],
      [/^USD an evaluation/, '2', '', /its price is not known/],
      [/^Price of a million input/, '3', '', /Give both prices, or none/]
    ] as const) {
      type(label, bad);
      const note = await waitFor(() => screen.getByText(said));
      expect(note.className).toBe('gol-Field-error');
      const wrong = document.querySelector('[aria-invalid="true"]');
      expect(wrong?.getAttribute('aria-describedby')).toBe(note.id);
      expect(add().disabled).toBe(true);
      type(label, good);
      await waitFor(() => expect(add().disabled).toBe(false));
    }
    fireEvent.click(document.querySelector('.jp-mod-reject')!);
    await waitFor(() => expect(screen.queryByLabelText('Name')).toBeNull());
  });

  it('asks a provider through LiteLLM, with the price of its table', async () => {
    const added: INewEndpoint[] = [];
    const service = {
      secrets: () => Promise.resolve(['ANTHROPIC_KEY']),
      price: (model: string) =>
        Promise.resolve({
          litellm: true,
          price: model === 'anthropic/known' ? KNOWN : null
        } as IKnownPrice),
      add: (body: INewEndpoint) => {
        added.push(body);
        return Promise.resolve(body);
      }
    } as unknown as EndpointsService;
    void openAddEndpoint(service, nullTranslator.load('genops_lab'));
    await waitFor(() => screen.getByLabelText('Name'));
    type('Name', 'claude');
    type('Kind', 'litellm');
    await waitFor(() => screen.getByLabelText('URL (optional)'));
    expect(screen.queryByText(/is not installed/)).toBeNull();
    const add = () =>
      document.querySelector<HTMLButtonElement>('.jp-mod-accept')!;
    type('Model', 'known');
    await waitFor(() => expect(add().disabled).toBe(true));
    type('Model', 'anthropic/known');
    await waitFor(() => screen.getByText(/table of 2026-05-01 has the price/));
    expect(add().disabled).toBe(false);
    // A budget of money stands on the known price.
    fireEvent.click(screen.getByText('Limits'));
    type(/^USD an evaluation/, '2');
    await waitFor(() => expect(add().disabled).toBe(false));
    type('Model', 'anthropic/other');
    await waitFor(() => screen.getByText(/The price is not known/));
    expect(add().disabled).toBe(true);
    type('Model', 'anthropic/known');
    await waitFor(() => expect(add().disabled).toBe(false));
    fireEvent.click(add());
    await waitFor(() => expect(added).toHaveLength(1));
    expect(added[0]).toMatchObject({
      name: 'claude',
      model: 'anthropic/known',
      litellm: true,
      task: 'chat',
      url: '',
      price: null,
      limits: { money: 2 }
    });
  });

  it('says what installs LiteLLM where it is missing', async () => {
    const service = {
      secrets: () => Promise.resolve([]),
      price: () => Promise.resolve({ litellm: false, price: null })
    } as unknown as EndpointsService;
    void openAddEndpoint(service, nullTranslator.load('genops_lab'));
    await waitFor(() => screen.getByLabelText('Name'));
    type('Name', 'claude');
    type('Kind', 'litellm');
    type('Model', 'anthropic/known');
    await waitFor(() => screen.getByText(/LiteLLM is not installed/));
    expect(screen.getByText("pip install 'genops-lab[litellm]'")).toBeTruthy();
    expect(
      document.querySelector<HTMLButtonElement>('.jp-mod-accept')!.disabled
    ).toBe(true);
  });
});

it.each([
  ['New York', 300, '2026-11-30'],
  ['Kolkata', -330, '2026-12-01']
])('dates prices by the day in %s', (_place, offset, day) => {
  const late = new Date('2026-12-01T02:00:00Z');
  jest.spyOn(late, 'getTimezoneOffset').mockReturnValue(offset);
  expect(dayOf(late)).toBe(day);
});
