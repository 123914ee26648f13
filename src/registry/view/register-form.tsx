import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { Callout, Field, formatAge } from '../../core';

import type { RegisterForm } from '../register';
import type { IRun } from '../service';

import { SourceChoice, SourceFields } from './source-fields';

/** The fields of "Register a model". */
export function RegisterFields(props: {
  form: RegisterForm;
  trans: TranslationBundle;
}): React.ReactElement {
  const { form, trans } = props;
  const { fields } = form;
  const hasSource = fields.kind !== 'run' || fields.runs?.length !== 0;
  return (
    <>
      <SourceChoice form={form} trans={trans} />
      {fields.kind === 'run' ? (
        <RunFields form={form} trans={trans} />
      ) : (
        <SourceFields form={form} trans={trans} />
      )}
      {hasSource && <NameFields form={form} trans={trans} />}
    </>
  );
}

function RunFields(props: {
  form: RegisterForm;
  trans: TranslationBundle;
}): React.ReactElement {
  const { form, trans } = props;
  const { fields } = form;
  const { runs, models } = fields;
  if (runs?.length === 0) {
    return (
      <Callout tone="info" title={trans.__('There are no runs yet.')}>
        {trans.__(
          'Put %1 at the top of a cell that trains and logs a model. Run the cell, then register its model here.',
          '%%track'
        )}
      </Callout>
    );
  }
  const offered = runs?.some(run => run.run_id === fields.runId);
  return (
    <>
      <Field label={trans.__('Run')}>
        {control => (
          <select
            {...control}
            value={fields.runId}
            onChange={event => void form.chooseRun(event.target.value)}
          >
            {!runs && <option value="">{trans.__('Loading…')}</option>}
            {fields.runId && !offered && (
              <option value={fields.runId}>{fields.runId}</option>
            )}
            {runs?.map(run => (
              <option key={run.run_id} value={run.run_id}>
                {describeRun(run, trans)}
              </option>
            ))}
          </select>
        )}
      </Field>
      {models && models.length > 1 && (
        <Field label={trans.__('Model of the run')}>
          {control => (
            <select
              {...control}
              value={fields.logged}
              onChange={event => form.set({ logged: event.target.value })}
            >
              {models.map(model => (
                <option key={model.uri} value={model.name}>
                  {[model.name, model.flavors.join(', ')]
                    .filter(Boolean)
                    .join(' – ')}
                </option>
              ))}
            </select>
          )}
        </Field>
      )}
      <div role="status">
        {models?.length === 0 && (
          <Callout tone="warning" title={trans.__('This run logged no model.')}>
            {trans.__(
              'Call mlflow.<flavor>.log_model(…) inside the run, or choose another run.'
            )}
          </Callout>
        )}
      </div>
    </>
  );
}

function NameFields(props: {
  form: RegisterForm;
  trans: TranslationBundle;
}): React.ReactElement {
  const { form, trans } = props;
  const { fields } = form;
  const listId = React.useId();
  return (
    <>
      <Field
        label={trans.__('Name')}
        help={
          fields.known.includes(fields.name.trim())
            ? trans.__('Adds a version to the model that has this name.')
            : trans.__(
                'A new name creates a model. An existing name gets a new version.'
              )
        }
        error={form.nameProblem}
      >
        {control => (
          <>
            <input
              {...control}
              type="text"
              value={fields.name}
              list={listId}
              autoComplete="off"
              spellCheck={false}
              onChange={event => form.set({ name: event.target.value })}
            />
            <datalist id={listId}>
              {fields.known.map(name => (
                <option key={name} value={name} />
              ))}
            </datalist>
          </>
        )}
      </Field>
      <Field
        label={trans.__('Alias (optional)')}
        help={trans.__(
          'A second name of this version, such as “champion”. You can move it to another version.'
        )}
        error={form.aliasProblem}
      >
        {control => (
          <input
            {...control}
            type="text"
            value={fields.alias}
            autoComplete="off"
            spellCheck={false}
            onChange={event => form.set({ alias: event.target.value })}
          />
        )}
      </Field>
    </>
  );
}

function describeRun(run: IRun, trans: TranslationBundle): string {
  const age =
    run.started_at === null
      ? ''
      : formatAge(run.started_at, Date.now() / 1000, trans);
  return [run.name || run.run_id.slice(0, 8), run.experiment, age]
    .filter(Boolean)
    .join(' – ');
}
