import * as React from 'react';

import { Field, FormModel } from '../../core';
import { openForm } from '../../core/ui/form-dialog';

import type {
  FailuresModel,
  IFailureMode,
  IFailureModes,
  INotedAnswer
} from './failures-model';

interface IFields {
  name: string;
  description: string;
  /** The answers that get the failure mode. */
  traces: ReadonlySet<string>;
}

/** Name a new failure mode, or change the name and description of one. */
class ModeForm extends FormModel<IFields, IFailureModes> {
  constructor(
    private _model: FailuresModel,
    fields: IFields,
    private _mode: string,
    private _moves: boolean
  ) {
    super(fields, _model.trans);
  }

  get valid(): boolean {
    return this.fields.name.trim() !== '';
  }

  protected async send(fields: IFields): Promise<IFailureModes> {
    const name = fields.name.trim();
    const description = fields.description.trim();
    if (this._mode) {
      return this._model.describe(this._mode, name, description);
    }
    const trace_ids = [...fields.traces];
    const found = await this._model.name({ name, description, trace_ids });
    for (const trace of this._moves ? trace_ids : []) {
      await this._model.move(trace, name);
    }
    return found;
  }
}

/** What the dialog begins with: a failure mode to describe, or notes to name. */
export interface IModeDialog {
  mode?: IFailureMode;
  notes: readonly INotedAnswer[];
  /** Whether the answers leave the failure modes that they have. */
  moves?: boolean;
  name?: string;
  description?: string;
}

/** Resolves to undefined when the user cancelled. */
export function openMode(
  model: FailuresModel,
  { mode, notes, moves, name, description }: IModeDialog
): Promise<IFailureModes | undefined> {
  const { trans } = model;
  const fields = {
    name: mode?.name ?? name ?? '',
    description: mode?.description ?? description ?? '',
    traces: new Set(notes.map(({ trace_id }) => trace_id))
  };
  const form = new ModeForm(model, fields, mode?.id ?? '', moves ?? false);
  return openForm({
    title: mode
      ? trans.__('Describe the failure mode')
      : trans.__('Name a failure mode'),
    form,
    render: ({ fields: { traces, ...texts } }) => (
      <>
        <Field
          label={trans.__('Name')}
          help={
            mode
              ? undefined
              : trans.__(
                  'Such as: wrong unit. The name of a failure mode that exists adds the answers to it.'
                )
          }
        >
          {control => (
            <input
              {...control}
              type="text"
              maxLength={100}
              value={texts.name}
              onChange={({ target }) => form.set({ name: target.value })}
            />
          )}
        </Field>
        <Field
          label={trans.__('Description')}
          help={trans.__('A judge reads this text: say how an answer fails.')}
        >
          {control => (
            <textarea
              {...control}
              className={`${control.className} gol-Failures-text`}
              rows={3}
              data-takes-enter
              value={texts.description}
              onChange={({ target }) => form.set({ description: target.value })}
            />
          )}
        </Field>
        {!mode && notes.length > 0 && (
          <fieldset className="gol-Failures-chosen">
            <legend>{trans.__('Answers that fail so')}</legend>
            {notes.map(({ trace_id, note }) => (
              <label key={trace_id}>
                <input
                  type="checkbox"
                  checked={traces.has(trace_id)}
                  onChange={({ target }) => {
                    const chosen = new Set(traces);
                    if (target.checked) {
                      chosen.add(trace_id);
                    } else {
                      chosen.delete(trace_id);
                    }
                    form.set({ traces: chosen });
                  }}
                />
                <span>{note}</span>
              </label>
            ))}
          </fieldset>
        )}
      </>
    ),
    action: trans.__('Save'),
    trans
  });
}
