import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { Field, NumberInput, openForm } from '../../core';

import type { ITarget } from '../service';
import type { SettingsForm } from '../settings';
import { IDLE_CHOICES } from '../settings';
import { minutesWords } from '../messages';

import { FolderFields } from './folder-fields';

import '../../../style/hosts/dialogs.css';

/**
 * Change a target. @returns the changed target, or undefined when the user
 * left.
 */
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

/**
 * The fields: the policy for kernels is first, since most users come for it.
 */
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
        label={trans.__('Kernels kept ready')}
        error={form.warmProblem}
        help={
          form.target.allocates
            ? trans.__(
                'A kernel kept ready starts in a moment. Each holds a pod or job with its GPUs, which costs what a running kernel costs. At most %1.',
                form.mostWarm
              )
            : trans.__(
                'A kernel kept ready starts in a moment. Each uses about 60 MiB of memory and no GPU, while you are connected. At most %1.',
                form.mostWarm
              )
        }
      >
        {control => (
          <NumberInput
            control={control}
            value={fields.warm}
            max={form.mostWarm}
            step={1}
            onChange={warm => form.set({ warm })}
          />
        )}
      </Field>
      {form.target.allocates && fields.warm > 0 && (
        <Field
          label={trans.__('Minutes kept ready')}
          error={form.warmMinutesProblem}
          help={trans.__(
            'A pod or job that no kernel has taken after this time ends. Your next start makes one ready again.'
          )}
        >
          {control => (
            <NumberInput
              control={control}
              value={fields.warmMinutes}
              max={1440}
              onChange={warmMinutes => form.set({ warmMinutes })}
            />
          )}
        </Field>
      )}
      <Field
        label={trans.__('Stop idle kernels')}
        help={trans.__(
          'A kernel is idle while no cell runs and neither CPUs nor GPUs work. The notebook warns before the stop, and you can keep the kernel.'
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
          label={trans.__('GPU counts as busy above')}
          error={form.gpuProblem}
          help={trans.__('GPU utilization in percent, by any process.')}
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
        help={trans.__(
          'Only the name. New kernels get the variable from this Lab.'
        )}
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

/** Names to tick; values are never shown and never sent to the page. */
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
            ? trans.__(
                'No environment variable of this Lab has a name like a secret, such as HF_TOKEN.'
              )
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
