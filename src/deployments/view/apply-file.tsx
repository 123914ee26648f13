import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { ActionButton, Callout, DataTable } from '../../core';

import type { ApplyForm, IPlan } from '../apply-file';
import { canReplaceFirst } from '../apply-file';
import { FetchView } from './fetch-view';

import '../../../style/deployments/deployments.css';

/** What a deployment file would change, and what its application needs from the person. */
export function ApplyFields(props: {
  form: ApplyForm;
  trans: TranslationBundle;
}): React.ReactElement {
  const { form, trans } = props;
  const { plan, fetching, replaceFirst, takeOver } = form.fields;
  const { error } = form.snapshot;
  return (
    <>
      <div className="gol-Revisions-what">
        <code className="gol-Revisions-name">{form.file.path}</code>
        <ActionButton
          label={trans.__('Read the file again')}
          caption={trans.__('Show what the file would change as it is now')}
          onClick={() => void form.load()}
        />
      </div>
      <div className="gol-Apply-plan" aria-live="polite">
        {plan && <PlanView plan={plan} trans={trans} />}
        {!plan && !fetching && !error && (
          <p className="gol-Note">
            {trans.__('Comparing the file with what runs…')}
          </p>
        )}
      </div>
      {fetching && <FetchView fetching={fetching} trans={trans} />}
      {plan && canReplaceFirst(plan) && (
        <Check
          label={trans.__('Stop the earlier revision first')}
          checked={replaceFirst}
          onChange={checked => form.set({ replaceFirst: checked })}
        />
      )}
      {plan && plan.other_file !== '' && (
        <Check
          label={trans.__(
            'Apply this file in place of %1, which was applied last',
            plan.other_file
          )}
          checked={takeOver}
          onChange={checked => form.set({ takeOver: checked })}
        />
      )}
      {(plan?.code === 'confirmation_needed' || form.fields.trust) && (
        <Check
          label={trans.__(
            'I trust this model: it may run code where it is deployed.'
          )}
          checked={form.fields.trust !== ''}
          onChange={checked => void form.trust(checked)}
        />
      )}
    </>
  );
}

function PlanView(props: {
  plan: IPlan;
  trans: TranslationBundle;
}): React.ReactElement {
  const { plan, trans } = props;
  const { name, exists, changes } = plan;
  const title = exists
    ? trans.__('Changes of the deployment “%1”', name)
    : trans.__('The new deployment “%1”', name);
  return (
    <>
      {changes.length > 0 && (
        <section aria-label={title}>
          <h3>{title}</h3>
          <DataTable
            caption={title}
            rows={changes}
            rowKey={({ what }) => what}
            columns={[
              {
                id: 'what',
                title: trans.__('Setting'),
                cell: ({ what }) => what,
                isHead: true
              },
              ...(exists
                ? [
                    {
                      id: 'now',
                      title: trans.__('Now'),
                      cell: ({ now }: IPlan['changes'][number]) => now || '–'
                    }
                  ]
                : []),
              {
                id: 'file',
                title: trans.__('File'),
                cell: ({ file }) => file || '–'
              }
            ]}
          />
        </section>
      )}
      {plan.message && <p className="gol-Note">{plan.message}</p>}
      {plan.problem && (
        <Callout tone="warning" title={plan.problem}>
          {plan.hint}
        </Callout>
      )}
      {!plan.problem && plan.downtime && (
        <p className="gol-Note">{plan.downtime}</p>
      )}
    </>
  );
}

function Check(props: {
  label: string;
  checked: boolean;
  onChange: (checked: boolean) => void;
}): React.ReactElement {
  return (
    <label className="gol-Check">
      <input
        type="checkbox"
        checked={props.checked}
        onChange={event => props.onChange(event.target.checked)}
      />
      <span>{props.label}</span>
    </label>
  );
}
