import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { Field, NumberInput, openForm } from '../../core';

import type { ITarget } from '../service';
import type { SettingsForm } from '../settings';
import { IDLE_CHOICES, MAX_WARM } from '../settings';
import { minutesWords } from '../messages';

import { FolderFields } from './folder-fields';

import '../../../style/hosts/dialogs.css';

/** Change a target. @returns it as it then is, or undefined when the person left. */
export async function openSettingsDialog(
  form: SettingsForm,
  trans: TranslationBundle
): Promise<ITarget | undefined> {
  void form.load();
  return openForm({
    title: trans.__('Settings of “%1”', form.target.name),
    form,
    render: () => <SettingsFields form={form} trans={trans} />,
    action: trans.__('Save'),
    trans
  });
}

/** The fields: how kernels are kept first, for that is what people come for. */
export function SettingsFields(props: {
  form: SettingsForm;
  trans: TranslationBundle;
}): React.ReactElement {
  const { form, trans } = props;
  const { fields } = form;
  const choices = [...new Set([...IDLE_CHOICES, fields.idleMinutes])]
    .filter(each => each > 0)
    .sort((a, b) => a - b);
  return (
    <>
      <Field
        label={trans.__('Kernels that stand ready')}
        error={form.warmProblem}
        help={trans.__(
          'They make a start take a moment, and hold about 60 MiB of memory each and no GPU, while you are connected. At most %1.',
          MAX_WARM
        )}
      >
        {control => (
          <NumberInput
            control={control}
            value={fields.warm}
            max={MAX_WARM}
            step={1}
            onChange={warm => form.set({ warm })}
          />
        )}
      </Field>
      <Field
        label={trans.__('End kernels without work')}
        help={trans.__(
          'No cell runs, and neither their CPUs nor their GPUs work. The notebook warns before, and can keep its kernel.'
        )}
      >
        {control => (
          <select
            {...control}
            value={fields.idleMinutes}
            onChange={event =>
              form.set({ idleMinutes: Number(event.target.value) })
            }
          >
            <option value={0}>{trans.__('Never')}</option>
            {choices.map(each => (
              <option key={each} value={each}>
                {trans.__('After %1', minutesWords(each, trans))}
              </option>
            ))}
          </select>
        )}
      </Field>
      {fields.idleMinutes > 0 && (
        <Field
          label={trans.__('A GPU works above')}
          error={form.gpuProblem}
          help={trans.__('Percent of its use, by whoever uses it.')}
        >
          {control => (
            <NumberInput
              control={control}
              value={fields.gpuPercent}
              max={100}
              onChange={gpuPercent => form.set({ gpuPercent })}
            />
          )}
        </Field>
      )}
      <FolderFields
        fields={fields}
        onChange={part => form.set(part)}
        trans={trans}
      />
      <Secrets {...props} />
      <Field
        label={trans.__('Another variable')}
        error={form.anotherProblem}
        help={trans.__('The name alone. New kernels get it from this Lab.')}
      >
        {control => (
          <input
            {...control}
            type="text"
            autoComplete="off"
            spellCheck={false}
            value={fields.another}
            onChange={event => form.set({ another: event.target.value })}
          />
        )}
      </Field>
      <Field
        label={trans.__('Price in USD an hour')}
        error={form.priceProblem}
        help={trans.__('Shown where you choose a target.')}
      >
        {control => (
          <input
            {...control}
            type="text"
            inputMode="decimal"
            value={fields.price}
            onChange={event => form.set({ price: event.target.value })}
          />
        )}
      </Field>
    </>
  );
}

/** Names to tick; values are never shown, nor are they here. */
function Secrets(props: {
  form: SettingsForm;
  trans: TranslationBundle;
}): React.ReactElement {
  const { form, trans } = props;
  const { names } = form;
  return (
    <fieldset className="gol-Secrets">
      <legend className="gol-Field-label">
        {trans.__('Secrets that new kernels get from this Lab')}
      </legend>
      {names.length === 0 && (
        <span className="gol-Field-help">
          {form.fields.known
            ? trans.__('No variable of this Lab is named like a secret.')
            : trans.__('Reading the names…')}
        </span>
      )}
      {names.map(name => (
        <label key={name} className="gol-Tick">
          <input
            type="checkbox"
            checked={form.fields.secrets.includes(name)}
            onChange={event => form.tick(name, event.target.checked)}
          />
          {name}
        </label>
      ))}
    </fieldset>
  );
}
