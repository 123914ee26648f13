import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { Field, FormModel, openForm } from '../../core';

/** A tag for runs. */
interface ITagFields {
  key: string;
  value: string;
}

class TagForm extends FormModel<ITagFields, true> {
  constructor(
    trans: TranslationBundle,
    private _set: (key: string, value: string) => Promise<void>
  ) {
    super({ key: '', value: '' }, trans);
  }

  get valid(): boolean {
    return this.fields.key.trim() !== '';
  }

  protected async send({ key, value }: Readonly<ITagFields>): Promise<true> {
    await this._set(key.trim(), value);
    return true;
  }
}

/** Ask for a tag, and set it. */
export async function askForTag(
  count: number,
  set: (key: string, value: string) => Promise<void>,
  trans: TranslationBundle
): Promise<void> {
  const form = new TagForm(trans, set);
  await openForm({
    title: trans._n('Tag %1 run', 'Tag %1 runs', count),
    form,
    action: trans.__('Set the tag'),
    trans,
    render: ({ fields }) => (
      <>
        <Field label={trans.__('Name')}>
          {control => (
            <input
              {...control}
              type="text"
              value={fields.key}
              maxLength={250}
              onChange={event => form.set({ key: event.target.value })}
            />
          )}
        </Field>
        <Field label={trans.__('Value')}>
          {control => (
            <input
              {...control}
              type="text"
              value={fields.value}
              onChange={event => form.set({ value: event.target.value })}
            />
          )}
        </Field>
      </>
    )
  });
}
