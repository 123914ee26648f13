import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { ApiError, Disclosure, Field, FormError } from '../../core';

import { administeredWords, declaredWords, presetWords } from '../messages';
import type { ResourceChoice } from '../resource-choice';
import type { IFormField } from '../service';

/** Milliseconds after the last key until the text is fetched. */
const TYPED_MS = 300;

/** Choose the resources of a kernel's new host, or a preset of them. */
export function ResourceFields(props: {
  choice: ResourceChoice;
  /** The noun for the host: a pod, a job. */
  noun: string;
  /** The language of what a start sends; empty for nothing. */
  language: string;
  trans: TranslationBundle;
}): React.ReactElement | null {
  const { choice, language, noun, trans } = props;
  const { form } = choice;
  if (!form) {
    return choice.error ? <FormError error={choice.error} /> : null;
  }
  return (
    <Disclosure
      title={trans.__('Start with…')}
      tip={trans.__('Choose the resources of the new %1', noun)}
      meta={choice.preset?.name ?? words(choice, trans)}
      initiallyOpen={choice.isGiven || form.presets.length > 0}
    >
      <div className="gol-Resources">
        {form.presets.length > 0 && (
          <Field label={trans.__('Preset')}>
            {control => (
              <select
                {...control}
                value={choice.preset?.name ?? ''}
                onChange={event => choice.choosePreset(event.target.value)}
              >
                <option value="">
                  {choice.isGiven && !choice.preset
                    ? trans.__('None: the values below')
                    : trans.__('None')}
                </option>
                {form.presets.map(preset => (
                  <option key={preset.name} value={preset.name}>
                    {presetWords(preset, trans)}
                  </option>
                ))}
              </select>
            )}
          </Field>
        )}
        <div className="gol-Resources-fields">
          {form.fields.map(field => (
            <ResourceField
              key={field.name}
              field={field}
              choice={choice}
              trans={trans}
            />
          ))}
        </div>
        {choice.isGiven && !choice.preset && (
          <>
            <label className="gol-Tick">
              <input
                type="checkbox"
                checked={choice.keeps}
                onChange={event => {
                  choice.keeps = event.target.checked;
                }}
              />
              {trans.__('Keep as a preset, with a kernel of its own')}
            </label>
            {choice.keeps && (
              <Field
                label={trans.__('Name of the preset')}
                help={trans.__('Empty: its resources, such as “1 x H100”.')}
              >
                {control => (
                  <input
                    {...control}
                    type="text"
                    value={choice.name}
                    autoComplete="off"
                    spellCheck={false}
                    onChange={event => {
                      choice.name = event.target.value;
                    }}
                  />
                )}
              </Field>
            )}
          </>
        )}
        {language && choice.valid && (
          <Disclosure
            title={
              language === 'yaml'
                ? trans.__('YAML of this start')
                : trans.__('Batch script of this start')
            }
          >
            <StartText choice={choice} trans={trans} />
          </Disclosure>
        )}
      </div>
    </Disclosure>
  );
}

/** What a start with the choice sends, to read and copy; fetched anew for another choice. */
function StartText(props: {
  choice: ResourceChoice;
  trans: TranslationBundle;
}): React.ReactElement {
  const { choice, trans } = props;
  const [text, setText] = React.useState('');
  const [error, setError] = React.useState<ApiError>();
  const chosen = JSON.stringify([choice.preset?.name, choice.resources]);
  React.useEffect(() => {
    let isLast = true;
    const timer = window.setTimeout(() => {
      choice.request().then(
        found => {
          if (isLast) {
            setError(undefined);
            setText(found.text);
          }
        },
        (reason: unknown) => {
          if (isLast) {
            setError(ApiError.from(reason, trans));
          }
        }
      );
    }, TYPED_MS);
    return () => {
      isLast = false;
      window.clearTimeout(timer);
    };
  }, [choice, chosen, trans]);
  const shown = React.useRef<HTMLPreElement>(null);
  React.useEffect(() => {
    shown.current?.scrollIntoView?.({ block: 'nearest' });
  }, [text]);
  if (error) {
    return <FormError error={error} />;
  }
  return (
    <>
      <pre
        ref={shown}
        className="gol-Resources-text"
        tabIndex={0}
        aria-label={trans.__('Request of this start')}
      >
        {text || trans.__('Loading…')}
      </pre>
      <p className="gol-Note">
        {trans.__('To edit and keep it, use the target’s card in Compute.')}
      </p>
    </>
  );
}

function ResourceField(props: {
  field: IFormField;
  choice: ResourceChoice;
  trans: TranslationBundle;
}): React.ReactElement {
  const { field, choice, trans } = props;
  const usual = choice.usual(field);
  const help = [
    declaredWords(field.help, trans),
    limitWords(field, choice, trans)
  ];
  return (
    <Field
      label={choice.label(field)}
      help={help.filter(Boolean).join(' ')}
      error={choice.problem(field)}
    >
      {control =>
        field.choices.length > 0 ? (
          <select
            {...control}
            value={choice.text(field)}
            disabled={field.locked}
            onChange={event => choice.setText(field.name, event.target.value)}
          >
            <option value="">{usual || trans.__('As the target says')}</option>
            {field.choices.map(each => (
              <option key={each} value={each}>
                {each}
              </option>
            ))}
          </select>
        ) : (
          <input
            {...control}
            type="text"
            inputMode={field.widget === 'number' ? 'decimal' : undefined}
            value={field.locked ? usual : choice.text(field)}
            placeholder={usual}
            disabled={field.locked}
            autoComplete="off"
            spellCheck={false}
            onChange={event => choice.setText(field.name, event.target.value)}
          />
        )
      }
    </Field>
  );
}

/** The administrator's limits, in the unit of the field. */
function limitWords(
  field: IFormField,
  choice: ResourceChoice,
  trans: TranslationBundle
): string {
  const [minimum, maximum] = [field.minimum, field.maximum].map(value =>
    value === null ? null : Number(choice.usual({ ...field, default: value }))
  );
  return administeredWords({ ...field, minimum, maximum }, trans);
}

/** The chosen resources in short, beside the closed fields. */
function words(choice: ResourceChoice, trans: TranslationBundle): string {
  const parts = (choice.form?.fields ?? [])
    .filter(field => choice.text(field).trim())
    .map(field => `${choice.label(field)}: ${choice.text(field)}`);
  return parts.length > 0
    ? parts.join(' · ')
    : trans.__('the target’s own resources');
}
