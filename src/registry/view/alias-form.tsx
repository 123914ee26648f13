import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { Field } from '../../core';
import type { AliasForm } from '../alias';

import { VersionChange } from './version-change';

import '../../../style/registry/history.css';

/** Most characters of a reason. */
const MOST_REASON = 1000;

/** The fields of an {@link AliasForm}. */
export function AliasFields(props: {
  form: AliasForm;
  trans: TranslationBundle;
}): React.ReactElement {
  const { form, trans } = props;
  const list = React.useId();
  return (
    <>
      <Field
        label={trans.__('Alias')}
        help={<From form={form} trans={trans} />}
        error={form.problem}
      >
        {control => (
          <input
            {...control}
            type="text"
            value={form.fields.alias}
            list={list}
            autoComplete="off"
            spellCheck={false}
            onChange={event => form.set({ alias: event.target.value })}
          />
        )}
      </Field>
      <datalist id={list}>
        {form.known.map(alias => (
          <option key={alias} value={alias} />
        ))}
      </datalist>
      <Field
        label={trans.__('Reason (optional)')}
        help={trans.__('The alias history of the model shows the reason.')}
      >
        {control => (
          <input
            {...control}
            type="text"
            value={form.fields.reason}
            maxLength={MOST_REASON}
            autoComplete="off"
            onChange={event => form.set({ reason: event.target.value })}
          />
        )}
      </Field>
    </>
  );
}

/** From which version to which the alias moves. */
function From(props: {
  form: AliasForm;
  trans: TranslationBundle;
}): React.ReactElement {
  const { form, trans } = props;
  const { from, version } = form;
  if (form.fields.alias === '' || from === undefined) {
    return (
      <>
        {trans.__(
          'If another version has this alias, it moves to this version.'
        )}
      </>
    );
  }
  return <VersionChange from={from} to={version.version} trans={trans} />;
}
