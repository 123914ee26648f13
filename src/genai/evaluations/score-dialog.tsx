import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { Field, FormModel } from '../../core';
import { openForm } from '../../core/ui/form-dialog';

import type { AnswersService, IBegun } from './service';

/** Scorers that work without settings, and what a person gives the others. */
const EXAMPLES: Readonly<Record<string, string>> = {
  exact: '- scorer: exact',
  contains: '- scorer: contains',
  numeric: '- scorer: numeric\n  relative: 0.01',
  regex: "- scorer: regex\n  pattern: '[0-9]+'",
  length: '- scorer: length\n  at_most: 500',
  refusal: '- scorer: refusal',
  rouge: '- scorer: rouge'
};

interface IFields {
  scorers: string;
}

class ScoreForm extends FormModel<IFields, IBegun> {
  constructor(
    private _service: AnswersService,
    private _id: string,
    trans: TranslationBundle
  ) {
    super({ scorers: EXAMPLES.exact }, trans);
  }

  get valid(): boolean {
    return this.fields.scorers.trim() !== '';
  }

  protected send({ scorers }: IFields): Promise<IBegun> {
    // A whole text, with judges, is sent as it is.
    const text = /^\s*-/.test(scorers) ? `scorers:\n${scorers}\n` : scorers;
    return this._service.score(this._id, text);
  }
}

/** Ask for scorers, and score the kept answers. Resolves to undefined when the user cancels. */
export function openScore(
  service: AnswersService,
  id: string,
  trans: TranslationBundle
): Promise<IBegun | undefined> {
  const form = new ScoreForm(service, id, trans);
  return openForm({
    title: trans.__('Score with another scorer'),
    form,
    render: ({ fields }) => (
      <>
        <Field
          label={trans.__('Example')}
          help={trans.__(
            'Scoring uses the kept answers: no model answers again.'
          )}
        >
          {control => (
            <select
              {...control}
              value={
                Object.keys(EXAMPLES).find(
                  kind => EXAMPLES[kind] === fields.scorers
                ) ?? ''
              }
              onChange={({ target }) =>
                target.value && form.set({ scorers: EXAMPLES[target.value] })
              }
            >
              <option value="">{trans.__('Own')}</option>
              {Object.keys(EXAMPLES).map(kind => (
                <option key={kind} value={kind}>
                  {kind}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field
          label={trans.__('Scorers (YAML)')}
          help={trans.__(
            'As below scorers in an evaluation file. A judge needs the keys scorers and judges.'
          )}
        >
          {control => (
            <textarea
              {...control}
              className={`${control.className} gol-Answers-yaml`}
              rows={8}
              data-takes-enter
              spellCheck={false}
              value={fields.scorers}
              onChange={({ target }) => form.set({ scorers: target.value })}
            />
          )}
        </Field>
      </>
    ),
    action: trans.__('Score'),
    trans
  });
}
