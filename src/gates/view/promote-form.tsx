import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { Field, useLasting } from '../../core';

import type { PromoteForm } from '../promoting';

import { ReportView } from './report';

/** Most characters of a reason. */
const MOST_REASON = 1000;
/** Time without an answer after which the form says so. */
const LATE_MS = 5000;

/** The fields of a {@link PromoteForm}, and the verdict before the move. */
export function PromoteFields(props: {
  form: PromoteForm;
  trans: TranslationBundle;
}): React.ReactElement {
  const { form, trans } = props;
  const { file, alias, reason, checking, report } = form.fields;
  const late = useLasting(checking || form.snapshot.busy, LATE_MS);
  return (
    <>
      <Field
        label={trans.__('Gate file')}
        help={trans.__('The path begins at the folder of JupyterLab.')}
      >
        {control => (
          <input
            {...control}
            type="text"
            value={file}
            autoComplete="off"
            spellCheck={false}
            onChange={event =>
              form.set({ file: event.target.value, report: undefined })
            }
          />
        )}
      </Field>
      <button
        type="button"
        className="jp-Button jp-mod-styled"
        disabled={file === ''}
        aria-disabled={checking}
        onClick={() => void form.check()}
      >
        {checking ? trans.__('Checking…') : trans.__('Check gates')}
      </button>
      <div role="status" className="gol-Gates-status">
        {late && (
          <p className="gol-Note">
            {trans.__(
              'MLflow is slow: waiting for the verdict. Cancel stops the wait.'
            )}
          </p>
        )}
        {report ? (
          <ReportView report={report} trans={trans} />
        ) : (
          <p className="gol-Note">
            {trans.__('Check the gates first: only a pass can be promoted.')}
          </p>
        )}
      </div>
      <Field label={trans.__('Alias')}>
        {control => (
          <input
            {...control}
            type="text"
            value={alias}
            autoComplete="off"
            spellCheck={false}
            onChange={event => form.set({ alias: event.target.value })}
          />
        )}
      </Field>
      <Field
        label={trans.__('Reason (optional)')}
        help={trans.__('The alias history of the model shows the reason.')}
      >
        {control => (
          <input
            {...control}
            type="text"
            value={reason}
            maxLength={MOST_REASON}
            autoComplete="off"
            onChange={event => form.set({ reason: event.target.value })}
          />
        )}
      </Field>
    </>
  );
}
