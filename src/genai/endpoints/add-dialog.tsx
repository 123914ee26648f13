import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { Callout, CopyButton, Field, FormModel } from '../../core';
import { openForm } from '../../core/ui/form-dialog';

import type { EndpointsService, IEndpoint, IPrice } from './service';

/** The command that installs LiteLLM. */
const INSTALL = "pip install 'genops-lab[litellm]'";
/** Milliseconds after the last key until the price of a model is looked up. */
const PAUSE_MS = 300;

interface IFields {
  name: string;
  /** The API at the URL, or LiteLLM. */
  way: 'chat' | 'embeddings' | 'litellm';
  url: string;
  model: string;
  key_secret: string;
  price_input: string;
  price_output: string;
  /** YYYY-MM-DD: when the prices were true. */
  price_date: string;
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

/** Why the fields of an endpoint cannot be sent, by field; an empty field is no problem of its own. */
function problemsOf(
  form: AddForm,
  trans: TranslationBundle
): Partial<Record<keyof IFields, string>> {
  const { fields } = form;
  const found: Partial<Record<keyof IFields, string>> = {};
  if (fields.name && !/^[A-Za-z0-9][\w.-]{0,99}$/.test(fields.name.trim())) {
    found.name = trans.__(
      'Use up to 100 letters, digits, dots, hyphens and underscores. Begin with a letter or a digit.'
    );
  }
  if (fields.url.trim()) {
    found.url = urlProblem(fields.url.trim(), trans);
  }
  if (form.usesLiteLLM && fields.model && !fields.model.includes('/')) {
    found.model = trans.__('Write PROVIDER/MODEL, such as anthropic/MODEL.');
  }
  for (const key of ['price_input', 'price_output'] as const) {
    if ((numberIn(fields[key]) ?? 0) < 0) {
      found[key] = trans.__('Write a number of 0 or more.');
    }
  }
  for (const key of ['at_once', 'tokens'] as const) {
    const number = numberIn(fields[key]) ?? (key === 'tokens' ? 1 : 0);
    if (!Number.isInteger(number) || number < 1) {
      found[key] = trans.__('Write a whole number of 1 or more.');
    }
  }
  for (const key of [
    'requests_per_minute',
    'tokens_per_minute',
    'money'
  ] as const) {
    if (!((numberIn(fields[key]) ?? 1) > 0)) {
      found[key] = trans.__('Write a number above 0.');
    }
  }
  const [input, output] = [fields.price_input, fields.price_output];
  if ((input.trim() === '') !== (output.trim() === '')) {
    found[input.trim() === '' ? 'price_input' : 'price_output'] = trans.__(
      'Give both prices, or none.'
    );
  } else if (input.trim() && !fields.price_date) {
    found.price_date = trans.__('Give the date of the prices.');
  } else if (!input.trim() && form.known === null && fields.money.trim()) {
    found.money = trans.__(
      'Give the prices of the model first: its price is not known.'
    );
  }
  return found;
}

/** Why an address cannot be asked; undefined where it can be. */
function urlProblem(
  text: string,
  trans: TranslationBundle
): string | undefined {
  const url = /^https?:\/\/[^/]/.test(text) ? parsedUrl(text) : undefined;
  if (!url) {
    return trans.__('Write an address, such as https://api.example.com/v1.');
  }
  if (url.username || url.password || url.search) {
    return trans.__(
      'Leave out user, password and query. Keep a key as a secret.'
    );
  }
  const added = ['/chat/completions', '/embeddings'].find(path =>
    url.pathname.replace(/\/+$/, '').endsWith(path)
  );
  return added && trans.__('Leave out %1: it is added.', added);
}

function parsedUrl(text: string): URL | undefined {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}

/** Add a model that answers. */
class AddForm extends FormModel<IFields, IEndpoint> {
  constructor(
    private _service: EndpointsService,
    /** Whether LiteLLM is installed. */
    readonly hasLiteLLM: boolean,
    trans: TranslationBundle
  ) {
    super(
      {
        name: '',
        way: 'chat',
        url: '',
        model: '',
        key_secret: '',
        price_input: '',
        price_output: '',
        price_date: dayOf(new Date()),
        at_once: '8',
        requests_per_minute: '',
        tokens_per_minute: '',
        tokens: '',
        money: ''
      },
      trans
    );
  }

  get usesLiteLLM(): boolean {
    return this.fields.way === 'litellm';
  }

  get valid(): boolean {
    const { name, url, model } = this.fields;
    const given = this.usesLiteLLM ? [name, model] : [name, url, model];
    return (
      (this.hasLiteLLM || !this.usesLiteLLM) &&
      given.every(each => each.trim() !== '') &&
      Object.values(this.problems).every(each => !each)
    );
  }

  /** The problems of the values, by field. */
  get problems(): Partial<Record<keyof IFields, string>> {
    return problemsOf(this, this.trans);
  }

  /** The price of the model in LiteLLM's table; null where it is not known. */
  get known(): IPrice | null {
    return this._known;
  }

  /** Look the price of the model up. */
  async lookUp(): Promise<void> {
    const model = this.fields.model.trim();
    const found = model
      ? await this._service.price(model).catch(() => null)
      : null;
    if (model === this.fields.model.trim()) {
      this._known = found?.price ?? null;
      this.put({}); // an error of the form stays
    }
  }

  protected send(): Promise<IEndpoint> {
    const { name, way, url, model, key_secret } = this.fields;
    const { price_input, price_output, price_date } = this.fields;
    const { at_once, requests_per_minute, tokens_per_minute, tokens, money } =
      this.fields;
    return this._service.add({
      name: name.trim(),
      url: url.trim(),
      model: model.trim(),
      key_secret,
      task: way === 'embeddings' ? 'embeddings' : 'chat',
      litellm: this.usesLiteLLM,
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
              date: price_date,
              source: 'given'
            }
    });
  }

  private _known: IPrice | null = null;
}

/** Ask for an endpoint and add it. Resolves to undefined when the user cancels. */
export async function openAddEndpoint(
  service: EndpointsService,
  trans: TranslationBundle
): Promise<IEndpoint | undefined> {
  const [secrets, hasLiteLLM] = await Promise.all([
    service.secrets().catch(() => []),
    service.price('').then(
      found => found.litellm,
      () => false
    )
  ]);
  const form = new AddForm(service, hasLiteLLM, trans);
  const text = (
    key: keyof IFields,
    label: string,
    help?: React.ReactNode,
    type = 'text'
  ) => (
    <Field key={key} label={label} help={help} error={form.problems[key]}>
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
        <Field label={trans.__('Kind')}>
          {control => (
            <select
              {...control}
              value={form.fields.way}
              onChange={event =>
                form.set({ way: event.target.value as IFields['way'] })
              }
            >
              <option value="chat">
                {trans.__('OpenAI’s chat completions')}
              </option>
              <option value="embeddings">
                {trans.__('OpenAI’s embeddings')}
              </option>
              <option value="litellm">
                {trans.__('A provider through LiteLLM')}
              </option>
            </select>
          )}
        </Field>
        {form.usesLiteLLM && !hasLiteLLM && (
          <Callout
            tone="warning"
            title={trans.__(
              'LiteLLM is not installed in the environment of JupyterLab.'
            )}
          >
            <p>
              {trans.__('Install it there, and restart JupyterLab:')}{' '}
              <code>{INSTALL}</code>{' '}
              <CopyButton
                text={INSTALL}
                label={INSTALL}
                word={trans.__('Copy the command')}
                trans={trans}
              />
            </p>
          </Callout>
        )}
        {text(
          'url',
          form.usesLiteLLM ? trans.__('URL (optional)') : trans.__('URL'),
          form.usesLiteLLM
            ? trans.__('LiteLLM knows the addresses of providers.')
            : form.fields.way === 'embeddings'
              ? trans.__(
                  'The address before /embeddings, such as https://api.example.com/v1.'
                )
              : trans.__(
                  'The address before /chat/completions, such as https://api.example.com/v1.'
                )
        )}
        {text(
          'model',
          trans.__('Model'),
          form.usesLiteLLM
            ? trans.__('PROVIDER/MODEL, such as anthropic/MODEL.')
            : trans.__('The name of the model at the endpoint.')
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
          trans.__('Other prices: genops endpoints add --help'),
          'number'
        )}
        {(form.fields.price_input + form.fields.price_output).trim() === '' ? (
          <KnownPrice form={form} trans={trans} />
        ) : (
          text('price_date', trans.__('Date of the prices'), undefined, 'date')
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
              'Needs a known price. Calls that could pass the limit are not made.'
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

/** The price of the model that LiteLLM's table has. */
function KnownPrice(props: {
  form: AddForm;
  trans: TranslationBundle;
}): React.ReactElement {
  const { form, trans } = props;
  const { model } = form.fields;
  React.useEffect(() => {
    const timer = window.setTimeout(() => void form.lookUp(), PAUSE_MS);
    return () => window.clearTimeout(timer);
  }, [form, model]);
  const { known } = form;
  return (
    <p className="gol-Note" role="status">
      {known
        ? trans.__(
            'LiteLLM’s table of %1 has the price: %2 in, %3 out (%4).',
            known.date ?? '',
            known.input,
            known.output,
            known.currency ?? 'USD'
          )
        : trans.__(
            'The price is not known. Costs are then not known either, and a budget of money is refused.'
          )}
    </p>
  );
}

/** Return the day in the browser's time zone, YYYY-MM-DD. */
export function dayOf(date: Date): string {
  const minutes = date.getTimezoneOffset();
  return new Date(date.getTime() - minutes * 60_000).toISOString().slice(0, 10);
}
