import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { Field, FormModel } from '../../core';
import { openForm } from '../../core/ui/form-dialog';

import type { EndpointsService, IEndpoint } from './service';

interface IFields {
  name: string;
  url: string;
  model: string;
  key_secret: string;
  price_input: string;
  price_output: string;
  at_once: string;
  requests_per_minute: string;
  tokens_per_minute: string;
  tokens: string;
  money: string;
}

/** The number in a field; null where it is empty. */
function numberIn(text: string): number | null {
  return text.trim() === '' ? null : Number(text);
}

/** Add a model that answers. */
class AddForm extends FormModel<IFields, IEndpoint> {
  constructor(
    private _service: EndpointsService,
    trans: TranslationBundle
  ) {
    super(
      {
        name: '',
        url: '',
        model: '',
        key_secret: '',
        price_input: '',
        price_output: '',
        at_once: '8',
        requests_per_minute: '',
        tokens_per_minute: '',
        tokens: '',
        money: ''
      },
      trans
    );
  }

  get valid(): boolean {
    const { name, url, model, price_input, price_output, at_once, money } =
      this.fields;
    const priced = price_input.trim() !== '';
    return (
      [name, url, model, at_once].every(each => each.trim() !== '') &&
      priced === (price_output.trim() !== '') &&
      (priced || money.trim() === '')
    );
  }

  protected send(): Promise<IEndpoint> {
    const { name, url, model, key_secret, price_input, price_output } =
      this.fields;
    const { at_once, requests_per_minute, tokens_per_minute, tokens, money } =
      this.fields;
    return this._service.add({
      name: name.trim(),
      url: url.trim(),
      model: model.trim(),
      key_secret,
      litellm: false,
      timeout_s: 120,
      limits: {
        at_once: Number(at_once),
        requests_per_minute: numberIn(requests_per_minute),
        tokens_per_minute: numberIn(tokens_per_minute),
        tokens: numberIn(tokens),
        money: numberIn(money)
      },
      price:
        price_input.trim() === ''
          ? null
          : {
              input: Number(price_input),
              output: Number(price_output),
              cached_input: null,
              reasoning: null,
              batch_input: null,
              batch_output: null,
              currency: 'USD',
              date: new Date().toISOString().slice(0, 10),
              source: 'given'
            }
    });
  }
}

/** Ask for an endpoint and add it. Resolves to undefined when the user cancels. */
export async function openAddEndpoint(
  service: EndpointsService,
  trans: TranslationBundle
): Promise<IEndpoint | undefined> {
  const secrets = await service.secrets().catch(() => []);
  const form = new AddForm(service, trans);
  const text = (
    key: keyof IFields,
    label: string,
    help?: string,
    type = 'text'
  ) => (
    <Field key={key} label={label} help={help}>
      {control => (
        <input
          {...control}
          type={type}
          min={type === 'number' ? 0 : undefined}
          step="any"
          value={form.fields[key]}
          autoComplete="off"
          spellCheck={false}
          onChange={event => form.set({ [key]: event.target.value })}
        />
      )}
    </Field>
  );
  return openForm({
    title: trans.__('Add an endpoint'),
    form,
    render: () => (
      <>
        {text('name', trans.__('Name'))}
        {text(
          'url',
          trans.__('URL'),
          trans.__(
            'The address before /chat/completions, such as https://api.example.com/v1.'
          )
        )}
        {text(
          'model',
          trans.__('Model'),
          trans.__('The name of the model at the endpoint.')
        )}
        <Field
          label={trans.__('Secret with the key')}
          help={trans.__('Keep a key with: genops secrets set NAME')}
        >
          {control => (
            <select
              {...control}
              value={form.fields.key_secret}
              onChange={event => form.set({ key_secret: event.target.value })}
            >
              <option value="">{trans.__('No key')}</option>
              {secrets.map(name => (
                <option key={name} value={name}>
                  {name}
                </option>
              ))}
            </select>
          )}
        </Field>
        {text(
          'price_input',
          trans.__('Price of a million input tokens, in USD (optional)'),
          undefined,
          'number'
        )}
        {text(
          'price_output',
          trans.__('Price of a million output tokens, in USD (optional)'),
          trans.__(
            'Without prices, costs are not known. Other prices: genops endpoints add --help'
          ),
          'number'
        )}
        <details className="gol-Endpoints-limits">
          <summary>{trans.__('Limits')}</summary>
          {text('at_once', trans.__('Calls at once'), undefined, 'number')}
          {text(
            'requests_per_minute',
            trans.__('Calls a minute (optional)'),
            undefined,
            'number'
          )}
          {text(
            'tokens_per_minute',
            trans.__('Tokens a minute (optional)'),
            undefined,
            'number'
          )}
          {text(
            'tokens',
            trans.__('Tokens an evaluation (optional)'),
            undefined,
            'number'
          )}
          {text(
            'money',
            trans.__('USD an evaluation (optional)'),
            trans.__(
              'Needs the two prices. Calls that could pass the limit are not made.'
            ),
            'number'
          )}
        </details>
      </>
    ),
    action: trans.__('Add'),
    trans
  });
}
