import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { Field } from '../../core';
import type { AliasForm } from '../alias';

/** The fields of an {@link AliasForm}. */
export function AliasField(props: {
  form: AliasForm;
  trans: TranslationBundle;
}): React.ReactElement {
  const { form, trans } = props;
  return (
    <Field
      label={trans.__('Alias')}
      help={trans.__(
        'If another version has this alias, it moves to this version.'
      )}
      error={form.problem}
    >
      {control => (
        <input
          {...control}
          type="text"
          value={form.fields.alias}
          autoComplete="off"
          spellCheck={false}
          onChange={event => form.set({ alias: event.target.value })}
        />
      )}
    </Field>
  );
}
