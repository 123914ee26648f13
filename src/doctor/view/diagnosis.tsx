import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget, checkIcon } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import * as React from 'react';

import type { Tone } from '../../core';
import {
  ActionButton,
  CopyButton,
  DataTable,
  Facts,
  Locked,
  ResourceView,
  StatusBadge,
  useResource
} from '../../core';

import type { DoctorModel } from '../model';
import { byUrgency } from '../model';
import type { ICheck, IDiagnosis, ILocked } from '../service';

import '../../../style/doctor/doctor.css';

/** "Diagnose GenOps Lab" in the main area. */
export class DiagnosisView extends ReactWidget {
  constructor(
    private _model: DoctorModel,
    private _trans: TranslationBundle
  ) {
    super();
    this.addClass('gol-Diagnosis');
  }

  protected override onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    void this._model.diagnosis.refresh();
    void this._model.status.refresh();
  }

  protected override render(): React.ReactElement {
    return <Diagnosis model={this._model} trans={this._trans} />;
  }
}

/** The checks by urgency, the locked settings, and the report to copy. */
export function Diagnosis(props: {
  model: DoctorModel;
  trans: TranslationBundle;
}): React.ReactElement {
  const { model, trans } = props;
  const { value, busy } = useResource(model.diagnosis);
  const status = useResource(model.status).value;
  return (
    <div className="gol-Diagnosis-page">
      <div className="gol-Diagnosis-head">
        <h2>{trans.__('Diagnosis')}</h2>
        {status && (
          <span className="gol-Note">{`GenOps Lab ${status.version}`}</span>
        )}
        <span className="gol-Diagnosis-buttons">
          <ActionButton
            label={busy ? trans.__('Checking…') : trans.__('Check again')}
            disabled={busy}
            onClick={() => void model.diagnosis.refresh()}
          />
          {value && (
            <CopyButton
              text={value.text}
              word={trans.__('Copy report')}
              label={trans.__(
                'Copy all checks as text, without secrets, user names and host names'
              )}
              trans={trans}
            />
          )}
        </span>
      </div>
      <ResourceView
        resource={model.diagnosis}
        trans={trans}
        down={trans.__('Cannot check GenOps Lab.')}
        empty={null}
      >
        {diagnosis => <Checks diagnosis={diagnosis} trans={trans} />}
      </ResourceView>
      {status && status.locked.length > 0 && (
        <LockedTable locked={status.locked} trans={trans} />
      )}
    </div>
  );
}

function Checks(props: {
  diagnosis: IDiagnosis;
  trans: TranslationBundle;
}): React.ReactElement {
  const { diagnosis, trans } = props;
  const states: Record<ICheck['state'], [Tone, string]> = {
    error: ['error', trans.__('Errors')],
    warning: ['warning', trans.__('Warnings')],
    info: ['idle', trans.__('Information')],
    ok: ['ok', trans.__('OK')]
  };
  return (
    <>
      {byUrgency(diagnosis.checks).map(({ state, checks }) => (
        <section key={state} className={`gol-Checks gol-mod-${state}`}>
          <h3>
            <StatusBadge
              tone={states[state][0]}
              icon={state === 'ok' ? checkIcon : undefined}
              label={`${states[state][1]} (${checks.length})`}
            />
          </h3>
          <Facts
            className="gol-Checks-list"
            facts={checks.map(({ id, title, detail, hint }) => [
              title,
              <React.Fragment key={id}>
                {detail}
                {hint && <span className="gol-Checks-hint">{hint}</span>}
              </React.Fragment>
            ])}
          />
        </section>
      ))}
    </>
  );
}

function LockedTable(props: {
  locked: readonly ILocked[];
  trans: TranslationBundle;
}): React.ReactElement {
  const { locked, trans } = props;
  return (
    <section className="gol-Checks">
      <h3>{trans.__('Settings locked by the administrator')}</h3>
      <DataTable
        caption={trans.__('Locked settings')}
        className="gol-Table gol-LockedTable"
        rows={locked}
        rowKey={({ name }) => name}
        columns={[
          {
            id: 'name',
            title: trans.__('Setting'),
            cell: ({ name }) => name,
            tip: ({ name }) => name
          },
          {
            id: 'value',
            title: trans.__('Value'),
            cell: ({ value }) => value || trans.__('(empty)'),
            tip: ({ value }) => value
          },
          {
            id: 'state',
            title: trans.__('State'),
            cell: () => <Locked trans={trans} />
          }
        ]}
      />
    </section>
  );
}
