import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { Field } from '../../core';
import { FileCheck } from '../../registry/view/file-check';

import type { EvaluateForm } from '../evaluate';
import { HERE, NONE } from '../evaluate';

/** The fields of "Evaluate a version". */
export function EvaluateFields(props: {
  form: EvaluateForm;
  trans: TranslationBundle;
}): React.ReactElement {
  const { form, trans } = props;
  const { fields } = form;
  const list = React.useId();
  const others = (fields.model?.versions ?? []).filter(
    ({ version }) => version !== form.version
  );
  return (
    <>
      <Field
        label={trans.__('Data')}
        help={trans.__(
          'A file of rows with labels (Parquet, CSV, JSON lines), or NAME@DIGEST of a data set that MLflow knows.'
        )}
      >
        {control => (
          <input
            {...control}
            type="text"
            value={fields.data}
            list={list}
            autoComplete="off"
            spellCheck={false}
            onChange={event => form.set({ data: event.target.value })}
          />
        )}
      </Field>
      <datalist id={list}>
        {fields.known.map(data => (
          <option key={data} value={data} />
        ))}
      </datalist>
      <Field
        label={trans.__('Compare with')}
        help={trans.__(
          'Both versions predict the same rows, each in its own process.'
        )}
      >
        {control => (
          <select
            {...control}
            value={fields.against}
            onChange={event => form.set({ against: event.target.value })}
          >
            <option value={NONE}>{trans.__('No other version')}</option>
            {others.map(({ version, aliases }) => (
              <option key={version} value={version}>
                {[trans.__('Version %1', version), ...aliases].join(', ')}
              </option>
            ))}
          </select>
        )}
      </Field>
      {fields.targets.length > 0 && (
        <Field
          label={trans.__('Where')}
          help={trans.__(
            'On a target, the rows and the files of the models are sent to its host.'
          )}
        >
          {control => (
            <select
              {...control}
              value={fields.on}
              onChange={event => form.set({ on: event.target.value })}
            >
              <option value={HERE}>{trans.__('This machine')}</option>
              {fields.targets.map(({ name, state }) => (
                <option key={name} value={name} disabled={state !== 'up'}>
                  {state === 'up' ? name : trans.__('%1 (not connected)', name)}
                </option>
              ))}
            </select>
          )}
        </Field>
      )}
      <Column
        label={trans.__('Label column (optional)')}
        help={trans.__(
          'Default: as in the last evaluation on this data, else “label” or “target”.'
        )}
        value={fields.label}
        onChange={label => form.set({ label })}
      />
      <Column
        label={trans.__('Id column (optional)')}
        help={trans.__(
          'Default: as in the last evaluation on this data, else “id” or the row numbers.'
        )}
        value={fields.id}
        onChange={id => form.set({ id })}
      />
      <Column
        label={trans.__('Group columns (optional)')}
        help={trans.__(
          'Columns such as region, separated by commas. Metrics are shown for each group.'
        )}
        value={fields.groups}
        onChange={groups => form.set({ groups })}
      />
      {fields.checks.map(check => (
        <FileCheck
          key={check.digest}
          check={check}
          title={trans.__('Version %1: %2', check.version, check.title)}
          trans={trans}
        />
      ))}
      {fields.checks.length > 0 && (
        <label className="gol-Check">
          <input
            type="checkbox"
            checked={fields.trust}
            onChange={event => form.set({ trust: event.target.checked })}
          />
          <span>
            {fields.on === HERE
              ? trans.__(
                  'I trust these files: they may run code on this machine.'
                )
              : trans.__(
                  'I trust these files: they may run code on the host of %1.',
                  fields.on
                )}
          </span>
        </label>
      )}
    </>
  );
}

function Column(props: {
  label: string;
  help: string;
  value: string;
  onChange: (value: string) => void;
}): React.ReactElement {
  return (
    <Field label={props.label} help={props.help}>
      {control => (
        <input
          {...control}
          type="text"
          value={props.value}
          autoComplete="off"
          spellCheck={false}
          onChange={event => props.onChange(event.target.value)}
        />
      )}
    </Field>
  );
}
