import { nullTranslator } from '@jupyterlab/translation';
import { fireEvent, screen, waitFor } from '@testing-library/react';

import { openAddEndpoint } from '../add-dialog';
import type { EndpointsService } from '../service';

it('keeps the error of the server when the price of the model is there', async () => {
  let tell = (_: unknown): void => undefined;
  const price = jest.fn((model: string) =>
    model
      ? new Promise(resolve => (tell = resolve))
      : Promise.resolve({ litellm: false, price: null })
  );
  const service = {
    secrets: () => Promise.resolve([]),
    price,
    add: () => Promise.reject(new Error('The name is taken.'))
  } as unknown as EndpointsService;
  void openAddEndpoint(service, nullTranslator.load('genops_lab'));
  await waitFor(() => screen.getByLabelText('Name'));
  const fields = {
    Name: 'house',
    URL: 'https://api.example.com/v1',
    Model: 'small'
  };
  for (const [label, value] of Object.entries(fields)) {
    fireEvent.change(screen.getByLabelText(label), { target: { value } });
  }
  const add = document.querySelector<HTMLButtonElement>('.jp-mod-accept')!;
  await waitFor(() => expect(add.disabled).toBe(false));
  fireEvent.click(add);
  await waitFor(() => screen.getByText('The name is taken.'));
  await waitFor(() => expect(price).toHaveBeenCalledWith('small'));
  tell({
    litellm: true,
    price: { input: 3, output: 15, currency: 'USD', date: '2026-05-01' }
  });
  await waitFor(() => screen.getByText(/table of 2026-05-01 has the price/));
  screen.getByText('The name is taken.');
});
