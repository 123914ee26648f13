import type { TranslationBundle } from '@jupyterlab/translation';
import { buildIcon, historyIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { ActionButton, Callout, CopyButton, Field } from '../../core';
import { FileCheck } from '../../registry/view/file-check';

import type { DeployForm, Source } from '../deploy';
import { HERE } from '../model';
import type { IDeployCheck, IRolloutPolicy } from '../service';
import { PlaceFields, SettingsFields } from './deploy-language-model';
import { ScaleFields } from './deploy-scale';
import { FetchView } from './fetch-view';
import { DeploymentChanges } from './file-drift';

import '../../../style/deployments/deployments.css';

/** The fields of "Deploy a model", with the check of the version. */
export function DeployFields(props: {
  form: DeployForm;
  trans: TranslationBundle;
}): React.ReactElement {
  const { form, trans } = props;
  const { fields, snapshot } = form;
  const { models, check } = fields;
  const asked =
    fields.source === 'registry' ? models?.length !== 0 : fields.place !== '';
  return (
    <>
      <Field label={trans.__('From')}>
        {control => (
          <select
            {...control}
            value={fields.source}
            onChange={event => void form.from(event.target.value as Source)}
          >
            <option value="registry">{trans.__('Registered models')}</option>
            <option value="hub">{trans.__('Hugging Face hub')}</option>
            <option value="path">{trans.__('Files of this machine')}</option>
          </select>
        )}
      </Field>
      {fields.source !== 'registry' ? (
        <PlaceFields key={fields.source} form={form} trans={trans} />
      ) : models?.length === 0 ? (
        <Callout
          tone="info"
          title={trans.__('There are no registered models yet.')}
        >
          {trans.__("Register a run's model first, then deploy its version.")}
        </Callout>
      ) : (
        <VersionFields form={form} trans={trans} />
      )}
      {fields.targets.length > 0 && (
        <Field
          label={trans.__('Where')}
          help={trans.__(
            'On a target, the files of the model are sent to its host and served there.'
          )}
        >
          {control => (
            <select
              {...control}
              value={fields.on}
              onChange={event => void form.move(event.target.value)}
            >
              <option value={HERE}>{trans.__('This machine')}</option>
              {fields.targets.map(({ name, state }) => (
                <option key={name} value={name} disabled={state !== 'up'}>
                  {state === 'up' ? name : trans.__('%1 (not connected)', name)}
                </option>
              ))}
            </select>
          )}
        </Field>
      )}
      <Field
        label={trans.__('Name of the deployment')}
        error={form.nameProblem}
      >
        {control => (
          <input
            {...control}
            type="text"
            value={fields.name}
            autoComplete="off"
            spellCheck={false}
            onChange={event => form.rename(event.target.value)}
            onBlur={() => void form.checkName()}
          />
        )}
      </Field>
      <div aria-live="polite">
        {check ? (
          <>
            <UpdateView check={check} trans={trans} />
            <CheckView check={check} trans={trans} />
          </>
        ) : (
          asked &&
          !fields.fetching &&
          !snapshot.error && (
            <p className="gol-Note">{trans.__('Checking the model…')}</p>
          )
        )}
      </div>
      {snapshot.error?.transient && !check && !fields.fetching && (
        <div className="gol-Actions">
          <ActionButton
            label={trans.__('Check again')}
            onClick={() => void form.checkAgain()}
          />
        </div>
      )}
      {fields.fetching && (
        <FetchView fetching={fields.fetching} trans={trans} />
      )}
      {fields.known.length > 0 && <SettingsFields form={form} trans={trans} />}
      {fields.known.length > 0 && <ScaleFields form={form} trans={trans} />}
      {check?.update?.fits && <RolloutFields form={form} trans={trans} />}
      {check?.update && !check.update.fits && (
        <label className="gol-Check">
          <input
            type="checkbox"
            checked={fields.replaceFirst}
            onChange={event => form.set({ replaceFirst: event.target.checked })}
          />
          <span>
            {trans.__('Stop revision %1 first', check.update.serving)}
          </span>
        </label>
      )}
      {check && !check.trusted && check.verdict !== 'refused' && (
        <label className="gol-Check">
          <input
            type="checkbox"
            checked={fields.trust}
            onChange={event => form.set({ trust: event.target.checked })}
          />
          <span>
            {check.where
              ? trans.__(
                  'I trust this model: it may run code on %1.',
                  check.where
                )
              : trans.__(
                  'I trust this model: it may run code on this machine.'
                )}
          </span>
        </label>
      )}
      {check && form.nameProblem === '' && (
        <div className="gol-Actions">
          <CopyButton
            text={() => form.asFile()}
            label={trans.__(
              'Copy the deployment file of this, for genops apply'
            )}
            word={trans.__('Copy as file')}
            trans={trans}
          />
        </div>
      )}
    </>
  );
}

/** A registered version. */
function VersionFields(props: {
  form: DeployForm;
  trans: TranslationBundle;
}): React.ReactElement {
  const { form, trans } = props;
  const { fields } = form;
  const { models } = fields;
  const chosen = models?.find(model => model.name === fields.model);
  return (
    <>
      <Field label={trans.__('Model')}>
        {control => (
          <select
            {...control}
            value={fields.model}
            onChange={event => void form.choose(event.target.value, '')}
          >
            {!chosen && (
              <option value={fields.model}>
                {fields.model || trans.__('Loading…')}
              </option>
            )}
            {models?.map(model => (
              <option key={model.name} value={model.name}>
                {model.name}
              </option>
            ))}
          </select>
        )}
      </Field>
      <Field label={trans.__('Version')}>
        {control => (
          <select
            {...control}
            value={fields.version}
            onChange={event =>
              void form.choose(fields.model, event.target.value)
            }
          >
            {!chosen?.versions.some(
              each => each.version === fields.version
            ) && <option value={fields.version}>{fields.version}</option>}
            {chosen?.versions.map(each => (
              <option key={each.version} value={each.version}>
                {[each.version, ...each.aliases].join(', ')}
              </option>
            ))}
          </select>
        )}
      </Field>
    </>
  );
}

/** How the version gets the requests, and what the traffic can show by it. */
function RolloutFields(props: {
  form: DeployForm;
  trans: TranslationBundle;
}): React.ReactElement {
  const { form, trans } = props;
  const kinds: [IRolloutPolicy['kind'], string][] = [
    ['replace', trans.__('Replace: all requests at once')],
    ['canary', trans.__('Canary: by steps, judged at each')],
    ['a/b', trans.__('A/B: half of the requests, then you decide')],
    ['blue-green', trans.__('Blue-green: all requests when you promote it')],
    ['shadow', trans.__('Shadow: copies of requests, answers compared')]
  ];
  return (
    <>
      <Field label={trans.__('Rollout')}>
        {control => (
          <select
            {...control}
            value={form.fields.rollout}
            onChange={event =>
              void form.chooseRollout(
                event.target.value as IRolloutPolicy['kind']
              )
            }
          >
            {kinds.map(([kind, label]) => (
              <option key={kind} value={kind}>
                {label}
              </option>
            ))}
          </select>
        )}
      </Field>
      {form.fields.rollout === 'canary' && (
        <Field
          label={trans.__('Steps in percent')}
          help={trans.__('Then the version gets all requests.')}
          error={form.stepsProblem}
        >
          {control => (
            <input
              {...control}
              type="text"
              value={form.fields.steps}
              autoComplete="off"
              onChange={event => form.set({ steps: event.target.value })}
              onBlur={() => void form.look()}
            />
          )}
        </Field>
      )}
      <div aria-live="polite">
        {form.fields.outlook.map(line => (
          <p key={line} className="gol-Note">
            {line}
          </p>
        ))}
      </div>
    </>
  );
}

/** What happens to the deployment that runs under this name. */
function UpdateView(props: {
  check: IDeployCheck;
  trans: TranslationBundle;
}): React.ReactElement | null {
  const { update } = props.check;
  if (!update) {
    return null;
  }
  return (
    <Callout
      tone={update.fits ? 'info' : 'warning'}
      title={props.trans.__('This updates the deployment “%1”.', update.name)}
    >
      {update.changes.length > 0 && (
        <DeploymentChanges changes={update.changes} trans={props.trans} />
      )}
      {update.file && (
        <p>
          {props.trans.__(
            'The deployment was applied from %1 and will differ from it. To keep both the same, change the file instead.',
            update.file
          )}
        </p>
      )}
      <p>{update.message}</p>
      {!update.fits && <p>{update.downtime}</p>}
    </Callout>
  );
}

/** The check of a version. */
function CheckView(props: {
  check: IDeployCheck;
  trans: TranslationBundle;
}): React.ReactElement {
  const { check, trans } = props;
  const missing = check.missing_requirements;
  return (
    <>
      {check.trusted ? (
        <Callout
          tone="ok"
          title={trans.__('The origin of this model is known.')}
        >
          {check.reason}
        </Callout>
      ) : (
        <FileCheck check={check} trans={trans} />
      )}
      {check.memory && !check.update && (
        <Callout
          tone="info"
          icon={buildIcon}
          title={
            check.engine
              ? trans.__('%1 serves this model.', check.engine)
              : trans.__('Memory')
          }
        >
          {check.memory}
        </Callout>
      )}
      {check.environment === 'build' && (
        <Callout
          tone="info"
          icon={buildIcon}
          title={trans.__(
            'GenOps Lab builds an environment for this model first.'
          )}
        >
          <p>
            {trans.__(
              'This takes a minute or more. Missing packages: %1',
              missing.join(', ')
            )}
          </p>
          {check.package_sources.length > 0 && (
            <>
              <p>
                {trans.__(
                  'The model’s requirements name these package sources:'
                )}
              </p>
              <ul className="gol-Sources">
                {check.package_sources.map(line => (
                  <li key={line}>
                    <code>{line}</code>
                  </li>
                ))}
              </ul>
            </>
          )}
        </Callout>
      )}
      {!check.outlives_server && (
        <Callout
          tone="info"
          icon={historyIcon}
          title={trans.__('The deployment ends with this Jupyter server.')}
        >
          {check.warning}
        </Callout>
      )}
    </>
  );
}
