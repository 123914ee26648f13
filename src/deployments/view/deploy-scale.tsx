import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { Disclosure, Field } from '../../core';

import type { DeployForm } from '../deploy';
import type { IScaleTexts } from '../deploy-scale';

/** The engines whose models are unloaded while nobody calls; empty is MLflow's scorer. */
const SLEEPING = ['', 'llama.cpp'];

/** How many replicas answer, and when the model is unloaded. */
export function ScaleFields(props: {
  form: DeployForm;
  trans: TranslationBundle;
}): React.ReactElement {
  const { form, trans } = props;
  const { scale, check } = form.fields;
  const problems = form.scaleProblems;
  const given = Object.values(scale).filter(text => text.trim()).length;
  const field = (name: keyof IScaleTexts, label: string, help: string) => (
    <Field label={label} help={help} error={problems[name]}>
      {control => (
        <input
          {...control}
          type="text"
          inputMode="decimal"
          autoComplete="off"
          value={scale[name]}
          onChange={event =>
            form.set({ scale: { ...scale, [name]: event.target.value } })
          }
        />
      )}
    </Field>
  );
  return (
    <Disclosure
      title={trans.__('Replicas and sleep')}
      meta={
        Object.keys(problems).length > 0
          ? trans.__('not valid')
          : given > 0
            ? trans._n('%1 set', '%1 set', given)
            : undefined
      }
    >
      <div className="gol-Deploy-settings">
        {field(
          'least',
          trans.__('Replicas, at least'),
          trans.__('Each is a whole process. Empty: as before, else 1.')
        )}
        {field(
          'most',
          trans.__('Replicas, at most'),
          trans.__('More start when the load needs them.')
        )}
        {field(
          'concurrency',
          trans.__('Requests in flight for one replica'),
          check?.engine
            ? trans.__('Empty: the queue and KV cache of the engine decide.')
            : trans.__('Empty: 8.')
        )}
        {SLEEPING.includes(check?.engine ?? '') &&
          field(
            'sleep',
            trans.__('Unload the model after (min)'),
            trans.__(
              'Minutes without a caller. The next request loads the model again. Empty: never.'
            )
          )}
      </div>
    </Disclosure>
  );
}
