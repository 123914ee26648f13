import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { Field, FormModel } from '../../core';
import { aliasProblem } from '../../registry/alias';
import { VersionChange } from '../../registry/view/version-change';

import type { IPrompt, PromptsModel } from './model';

interface IFields {
  alias: string;
}

/** Points an alias at one version of the chosen prompt. */
export class PromptAliasForm extends FormModel<IFields, IPrompt> {
  constructor(
    private _model: PromptsModel,
    readonly version: string,
    trans: TranslationBundle
  ) {
    super({ alias: '' }, trans);
  }

  get known(): string[] {
    return Object.keys(this._model.prompt?.aliases ?? {});
  }

  /** The version that the page shows for the alias; empty: none. */
  get from(): string {
    return this._model.prompt?.aliases[this.fields.alias] ?? '';
  }

  get problem(): string {
    const { alias } = this.fields;
    return alias && this.from === this.version
      ? this.trans.__('This version has the alias “%1” already.', alias)
      : aliasProblem(alias, this.trans);
  }

  get valid(): boolean {
    return this.fields.alias !== '' && this.problem === '';
  }

  protected send({ alias }: IFields): Promise<IPrompt> {
    return this._model.setAlias(alias, this.version, this.from);
  }
}

export function PromptAliasFields(props: {
  form: PromptAliasForm;
  trans: TranslationBundle;
}): React.ReactElement {
  const { form, trans } = props;
  const list = React.useId();
  const { alias } = form.fields;
  return (
    <>
      <Field
        label={trans.__('Alias')}
        error={form.problem}
        help={
          alias ? (
            <VersionChange from={form.from} to={form.version} trans={trans} />
          ) : (
            trans.__(
              'If another version has this alias, it moves to this version.'
            )
          )
        }
      >
        {control => (
          <input
            {...control}
            type="text"
            value={alias}
            list={list}
            autoComplete="off"
            spellCheck={false}
            onChange={event => form.set({ alias: event.target.value })}
          />
        )}
      </Field>
      <datalist id={list}>
        {form.known.map(each => (
          <option key={each} value={each} />
        ))}
      </datalist>
    </>
  );
}
