import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { Field } from '../../core';
import { NumberInput } from '../../core/ui/form-dialog';
import { Choices } from '../prompts/choices';
import { RowsFields } from '../prompts/rows-fields';
import { ModelsView } from '../prompts/source-view';
import type { PromptSources } from '../prompts/sources';

import type { NewForm } from './new-form';
import { ScorerFields } from './scorer-fields';

import '../../../style/genai/prompts.css';

interface IProps {
  form: NewForm;
  sources: PromptSources;
  trans: TranslationBundle;
}

/** The fields of "New evaluation". */
export function NewFields(props: IProps): React.ReactElement {
  const { form, sources, trans } = props;
  const { fields, problems } = form;
  return (
    <>
      <Field
        label={trans.__('Name')}
        help={trans.__('The file %1 will be written.', form.path)}
        error={problems.name}
      >
        {control => (
          <input
            {...control}
            type="text"
            value={fields.name}
            spellCheck={false}
            onChange={({ target }) => form.set({ name: target.value.trim() })}
          />
        )}
      </Field>
      <RowsFields
        sources={sources}
        onChange={({ data }) => form.set({ data })}
        files={fields.files}
        error={problems.data}
        trans={trans}
      />
      <PromptFields {...props} />
      <ModelsView sources={sources} trans={trans}>
        {found => {
          const answering = found.filter(({ task }) => task !== 'embeddings');
          return (
            <>
              <Choices
                label={trans.__('Models')}
                options={answering.map(({ name }) => [name, name])}
                chosen={fields.models.map(({ name }) => name)}
                onChoose={names =>
                  form.set({
                    models: answering.filter(({ name }) => names.includes(name))
                  })
                }
              />
              <Problem said={problems.models} />
            </>
          );
        }}
      </ModelsView>
      <ScorerFields
        scorers={fields.scorers}
        onChange={scorers => form.set({ scorers })}
        help={trans.__('The column expected has the right answer')}
        rows={3}
        error={problems.scorers}
        trans={trans}
      />
      <div className="gol-New-numbers">
        <Field label={trans.__('Answers to each row')} error={problems.repeats}>
          {control => (
            <NumberInput
              control={control}
              value={fields.repeats}
              step={1}
              max={100}
              onChange={repeats => form.set({ repeats })}
            />
          )}
        </Field>
        <Field
          label={trans.__('Tokens of an answer')}
          help={trans.__('At most: bounds the cost')}
          error={problems.maxTokens}
        >
          {control => (
            <NumberInput
              control={control}
              value={fields.maxTokens}
              step={1}
              onChange={maxTokens => form.set({ maxTokens })}
            />
          )}
        </Field>
        <Field
          label={trans.__('Budget of each model')}
          help={trans.__('In the currency of its price; empty: none')}
          error={problems.money}
        >
          {control => (
            <NumberInput
              control={control}
              value={fields.money}
              onChange={money => form.set({ money })}
            />
          )}
        </Field>
      </div>
    </>
  );
}

/** A text, or versions of a prompt of MLflow. */
function PromptFields(props: IProps): React.ReactElement {
  const { form, trans } = props;
  const { fields, problems } = form;
  const { promptName, prompts, prompt, known = [] } = fields;
  return (
    <>
      {prompts.length > 0 && (
        <Field label={trans.__('Prompt')}>
          {control => (
            <select
              {...control}
              value={promptName}
              onChange={({ target }) => void form.choosePrompt(target.value)}
            >
              <option value="">{trans.__('A text')}</option>
              {prompts.map(name => (
                <option key={name} value={name}>
                  {name}
                </option>
              ))}
            </select>
          )}
        </Field>
      )}
      {promptName ? (
        <>
          <Choices
            label={trans.__('Versions')}
            options={known.map(({ version, aliases = [] }) => [
              version,
              [`v${version}`, ...aliases].join(' · ')
            ])}
            chosen={fields.versions}
            onChoose={versions => form.set({ versions })}
          />
          <Problem said={problems.versions ?? problems.prompt} />
        </>
      ) : (
        <Field
          label={trans.__('Text of the prompt')}
          help={trans.__('%1 stands for a value of the row', '{{column}}')}
          error={problems.prompt}
        >
          {control => (
            <textarea
              {...control}
              className={`${control.className} gol-Answers-yaml`}
              rows={3}
              data-takes-enter
              value={prompt}
              onChange={({ target }) => form.set({ prompt: target.value })}
            />
          )}
        </Field>
      )}
    </>
  );
}

function Problem(props: { said?: string }): React.ReactElement | null {
  return props.said ? (
    <span className="gol-Field-error">{props.said}</span>
  ) : null;
}
