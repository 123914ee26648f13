import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { Field, FormModel, NumberInput } from '../../core';
import { openForm } from '../../core/ui/form-dialog';

import type { ILabelQueue, LabelsModel } from './model';

const PAIRS = 'pairs';
const FAILURES = 'failures:';
const MOST_ROWS = 5000;
/** MLflow keeps longer texts of neither. */
const LONGEST_QUESTION = 250;
const LONGEST_CHOICE = 64;

interface IFields {
  evaluation: string;
  rows: number;
  question: string;
  choices: string;
  /** What people do: label answers (empty), compare pairs, or note failures of a scorer. */
  task: string;
}

/** Choose rows of an evaluation at random. */
class BeginForm extends FormModel<IFields, ILabelQueue> {
  constructor(
    private _model: LabelsModel,
    evaluation: string,
    trans: TranslationBundle
  ) {
    super({ evaluation, rows: 50, question: '', choices: '', task: '' }, trans);
  }

  get choices(): string[] {
    return this.fields.choices
      .split(',')
      .map(each => each.trim())
      .filter(each => each !== '');
  }

  /** The problems of the values, by field. */
  get problems(): Partial<Record<keyof IFields, string>> {
    const { trans, choices } = this;
    const { rows, task } = this.fields;
    const question = this.fields.question.trim();
    const found: Partial<Record<keyof IFields, string>> = {};
    if (!Number.isInteger(rows) || rows < 1 || rows > MOST_ROWS) {
      found.rows = trans.__('Enter a whole number from 1 to %1.', MOST_ROWS);
    }
    if (task) {
      return found;
    }
    if (question.toLowerCase() === 'feedback') {
      found.question = trans.__(
        'MLflow has a question of its own with this name. Choose another.'
      );
    } else if (question.length > LONGEST_QUESTION) {
      found.question = trans.__('Use up to %1 characters.', LONGEST_QUESTION);
    }
    if (choices.length > 0 && (choices.length < 2 || choices.length > 9)) {
      found.choices = trans.__('Give 2 to 9 choices, or none.');
    } else if (new Set(choices).size < choices.length) {
      found.choices = trans.__('Give each choice once.');
    } else if (choices.some(each => each.length > LONGEST_CHOICE)) {
      found.choices = trans.__(
        'Use up to %1 characters for each choice.',
        LONGEST_CHOICE
      );
    }
    return found;
  }

  get valid(): boolean {
    const { evaluation } = this.fields;
    return evaluation !== '' && Object.keys(this.problems).length === 0;
  }

  protected send({
    evaluation,
    rows,
    question,
    task
  }: IFields): Promise<ILabelQueue> {
    return this._model.begin({
      evaluation,
      rows: Math.round(rows),
      judge: '',
      instruction: '',
      failures: task.startsWith(FAILURES) ? task.slice(FAILURES.length) : '',
      pairs: task === PAIRS,
      question: task ? '' : question.trim(),
      choices: task ? [] : this.choices
    });
  }
}

/** Ask what is labelled; the new queue, or undefined for Cancel. */
export async function openBegin(
  model: LabelsModel
): Promise<ILabelQueue | undefined> {
  const { trans } = model;
  const evaluations = await model.evaluations();
  const form = new BeginForm(model, evaluations[0]?.id ?? '', trans);
  const chosen = () =>
    evaluations.find(({ id }) => id === form.fields.evaluation);
  return openForm({
    title: trans.__('Begin to label'),
    form,
    render: () => (
      <>
        <Field
          label={trans.__('Evaluation')}
          help={
            evaluations.length
              ? trans.__('All models’ answers to a chosen row are labelled.')
              : trans.__('There is none. Make one: genops evaluate FILE')
          }
        >
          {control => (
            <select
              {...control}
              value={form.fields.evaluation}
              onChange={event =>
                form.set({ evaluation: event.target.value, task: '' })
              }
            >
              {evaluations.map(({ id }) => (
                <option key={id} value={id}>
                  {id}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field
          label={trans.__('Rows, chosen at random')}
          error={form.problems.rows}
          help={trans.__('A judge needs 20 labels at least.')}
        >
          {control => (
            <NumberInput
              control={control}
              value={form.fields.rows}
              max={MOST_ROWS}
              step={1}
              onChange={rows => form.set({ rows })}
            />
          )}
        </Field>
        <Field
          label={trans.__('Task')}
          help={
            form.fields.task.startsWith(FAILURES)
              ? trans.__(
                  'They note why answers fail, and group the notes into failure modes.'
                )
              : form.fields.task === PAIRS
                ? trans.__(
                    'They say which is better: a model’s answer, or the first model’s. The order is drawn at random.'
                  )
                : undefined
          }
        >
          {control => (
            <select
              {...control}
              value={form.fields.task}
              onChange={event => form.set({ task: event.target.value })}
            >
              <option value="">{trans.__('Label answers')}</option>
              {(chosen()?.models.length ?? 0) > 1 && (
                <option value={PAIRS}>{trans.__('Compare two answers')}</option>
              )}
              {chosen()?.scorers.map(scorer => (
                <option key={scorer} value={FAILURES + scorer}>
                  {trans.__('Read failures of %1', scorer)}
                </option>
              ))}
            </select>
          )}
        </Field>
        {!form.fields.task && (
          <>
            <Field
              label={trans.__('Question (optional)')}
              error={form.problems.question}
              help={trans.__('Default: the name of the only judge.')}
            >
              {control => (
                <input
                  {...control}
                  type="text"
                  value={form.fields.question}
                  onChange={event => form.set({ question: event.target.value })}
                />
              )}
            </Field>
            <Field
              label={trans.__('Choices (optional)')}
              error={form.problems.choices}
              help={trans.__(
                'The worst first, with commas between them. Default: the scale of the judge.'
              )}
            >
              {control => (
                <input
                  {...control}
                  type="text"
                  value={form.fields.choices}
                  onChange={event => form.set({ choices: event.target.value })}
                />
              )}
            </Field>
          </>
        )}
      </>
    ),
    action: trans.__('Begin'),
    trans
  });
}
