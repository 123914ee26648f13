import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { Field } from '../../core';

import type { RegisterForm, SourceKind } from '../register';

/** The choice of what a version is made from. */
export function SourceChoice(props: {
  form: RegisterForm;
  trans: TranslationBundle;
}): React.ReactElement {
  const { form, trans } = props;
  const kinds: readonly [SourceKind, string][] = [
    ['run', trans.__('A run')],
    ['files', trans.__('A folder or file')],
    ['hub', trans.__('The Hugging Face hub')]
  ];
  return (
    <Field label={trans.__('From')}>
      {control => (
        <select
          {...control}
          value={form.fields.kind}
          onChange={event =>
            form.set({ kind: event.target.value as SourceKind })
          }
        >
          {kinds.map(([kind, label]) => (
            <option key={kind} value={kind}>
              {label}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

/** The fields of files of this machine or of the hub. */
export function SourceFields(props: {
  form: RegisterForm;
  trans: TranslationBundle;
}): React.ReactElement {
  const { form, trans } = props;
  const { fields } = form;
  const ofHub = fields.kind === 'hub';
  return (
    <>
      <Field
        label={ofHub ? trans.__('Repository') : trans.__('Path')}
        help={
          ofHub
            ? trans.__(
                'ORG/NAME, or ORG/NAME@REVISION. A revision is a branch, a tag or a commit.'
              )
            : trans.__(
                'On the machine of JupyterLab: safetensors, GGUF, ONNX, an adapter, or a folder with an MLmodel file. A relative path begins in the folder of JupyterLab.'
              )
        }
        error={form.sourceProblem}
      >
        {control => (
          <input
            {...control}
            type="text"
            value={fields.source}
            autoComplete="off"
            spellCheck={false}
            onChange={event => form.set({ source: event.target.value })}
          />
        )}
      </Field>
      <Field
        label={trans.__('Base model (optional)')}
        help={trans.__(
          'The model that an adapter was trained on: hf:ORG/NAME or models:/NAME/VERSION.'
        )}
      >
        {control => (
          <input
            {...control}
            type="text"
            value={fields.base}
            autoComplete="off"
            spellCheck={false}
            onChange={event => form.set({ base: event.target.value })}
          />
        )}
      </Field>
      <label className="gol-Check">
        <input
          type="checkbox"
          checked={fields.allowCode}
          onChange={event => form.set({ allowCode: event.target.checked })}
        />
        <span>
          {trans.__('Accept files that run code when they are loaded')}
          <span className="gol-Field-help">
            {trans.__(
              'Pickles and Python code. Only if you trust who made them.'
            )}
          </span>
        </span>
      </label>
    </>
  );
}
