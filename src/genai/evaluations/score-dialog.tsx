import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { FormModel } from '../../core';
import { openForm } from '../../core/ui/form-dialog';

import { EXAMPLES, ScorerFields, scorersText } from './scorer-fields';
import type { AnswersService, IBegun } from './service';

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
    return this._service.score(this._id, scorersText(scorers));
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
      <ScorerFields
        scorers={fields.scorers}
        onChange={scorers => form.set({ scorers })}
        help={trans.__(
          'Scoring uses the kept answers: no model answers again.'
        )}
        rows={8}
        trans={trans}
      />
    ),
    action: trans.__('Score'),
    trans
  });
}
