import type { TranslationBundle } from '@jupyterlab/translation';
import { deleteIcon, refreshIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import {
  ActionButton,
  Callout,
  CopyButton,
  Disclosure,
  Facts,
  IconButton,
  LogTail,
  formatDuration,
  formatMoment,
  useNow,
  useSignalled
} from '../../core';
import { formatNumber } from '../../core/format';
import type { IDriven } from '../../panel/tokens';

import type { DeploymentsModel } from '../model';
import { HERE, curlCommand, isActive } from '../model';
import { FileDrift } from './file-drift';
import { Keys } from './keys';
import { LiveScores } from './live-scores';
import { Revisions, replicasOf } from './revisions';
import { RolloutView } from './rollout';
import type { IDeployment, RolloutDecision } from '../service';
import type { IWatchSnapshot } from '../watch';

/** The actions on a deployment. */
export interface IDeploymentActions {
  onStop: (deployment: IDeployment) => void;
  onRenew: (deployment: IDeployment) => void;
  onDelete: (deployment: IDeployment) => void;
  onDeployAgain: (deployment: IDeployment) => void;
  onLineage: (deployment: IDeployment) => void;
  /** Open the page of a deployment at a view of it. */
  onTry: (
    deployment: IDeployment,
    view?: 'load' | 'rollout' | 'addresses'
  ) => void;
  /** Go back to a revision; 0 cancels an update. */
  onRollBack: (deployment: IDeployment, to: number) => void;
  /** Decide about a rollout. */
  onDecide: (deployment: IDeployment, decision: RolloutDecision) => void;
}

/** The open row of a deployment: URL, figures, log and actions. */
export function DeploymentDetail(
  props: DeploymentDetail.IProps
): React.ReactElement {
  const { deployment, trans } = props;
  const { figures, lines, error } = useWatch(props);
  const { state, message, hint, url } = deployment;
  const { requests, errors, latency_ms } = figures ?? deployment;
  const current = deployment.revisions?.find(each => each.is_current);
  const ended = state === 'failed' || state === 'ended';
  const active = isActive(deployment);
  const updating = Boolean(deployment.updating_to);
  return (
    <>
      {ended && (
        <Callout
          tone={state === 'failed' ? 'error' : 'warning'}
          title={
            message ||
            trans.__('The deployment ended without a request to stop.')
          }
        >
          {hint}
        </Callout>
      )}
      {!ended && message && (state !== 'running' || updating) && (
        <p className="gol-Note" role="status">
          {message}
        </p>
      )}
      {state === 'running' && message && !updating && (
        <Callout tone="warning" title={message}>
          {hint}
        </Callout>
      )}
      <Facts
        facts={[
          [
            trans.__('Model'),
            <span
              key="model"
              title={`${deployment.model} v${deployment.version}`}
            >
              {`${deployment.model} v${deployment.version}`}
            </span>
          ],
          url
            ? [
                trans.__('URL'),
                <span key="url" className="gol-Facts-cut">
                  <code title={url}>{url.replace(/^https?:\/\//, '')}</code>
                  <CopyButton
                    text={url}
                    label={trans.__('Copy the URL')}
                    trans={trans}
                  />
                </span>
              ]
            : null,
          deployment.target !== HERE
            ? [trans.__('Where'), deployment.target]
            : null,
          [
            trans.__('Requests'),
            errors > 0
              ? trans._n(
                  '%2, %3 error',
                  '%2, %3 errors',
                  errors,
                  requests.toLocaleString(),
                  errors.toLocaleString()
                )
              : requests.toLocaleString()
          ],
          current?.replicas
            ? [
                trans.__('Replicas'),
                <span key="replicas" title={current.replicas.why}>
                  {replicasOf(current.replicas, trans)}
                </span>
              ]
            : null,
          deployment.file
            ? [
                trans.__('File'),
                <code key="file" title={deployment.file}>
                  {deployment.file}
                </code>
              ]
            : null,
          latency_ms !== null
            ? [
                trans.__('Latency'),
                trans.__(
                  '%1 ms (median)',
                  formatNumber(Number(latency_ms.toPrecision(3)))
                )
              ]
            : null,
          ...languageFacts(deployment, trans),
          active
            ? [trans.__('Time left'), <Lease key="lease" {...props} />]
            : null,
          active && !deployment.outlives_server
            ? [
                trans.__('Lifetime'),
                <span
                  key="lifetime"
                  title={trans.__(
                    'The deployment ends when this Jupyter server ends'
                  )}
                >
                  {trans.__('ends with server')}
                </span>
              ]
            : null
        ]}
      />
      <FileDrift service={props.model.service} {...{ deployment, trans }} />
      <DetailActions {...props} active={active} />
      {deployment.rollout && (
        <RolloutView
          deployment={deployment}
          rollout={deployment.rollout}
          service={props.model.service}
          trans={trans}
          onDecide={props.onDecide}
          onWiden={found => props.onTry(found, 'rollout')}
        />
      )}
      <Revisions {...props} />
      {active && <Keys {...props} />}
      <LiveScores service={props.model.service} {...{ deployment, trans }} />
      <Disclosure
        title={trans.__('Log')}
        initiallyOpen={state === 'failed' || state === 'starting'}
      >
        {error ? (
          <p className="gol-Note">{`${error.message} ${error.hint}`}</p>
        ) : (
          <LogTail
            lines={lines}
            label={trans.__('Log of %1', deployment.name)}
            trans={trans}
          />
        )}
      </Disclosure>
    </>
  );
}

function textOf(settings: Record<string, string>): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');
}

/** The settings; the engine of a language model or a command, with the figures of tokens. */
function languageFacts(
  { serving, state, settings: scorer }: IDeployment,
  trans: TranslationBundle
): ([string, React.ReactNode] | null)[] {
  if (!serving) {
    const told = textOf(scorer);
    return told ? [[trans.__('Settings'), told]] : [];
  }
  const { engine, settings, adapter, tokens } = serving;
  const told = textOf(settings);
  const figures = state === 'running' ? tokens : null;
  const rate = figures?.tokens_per_s ?? null;
  const first = figures?.first_token_ms ?? null;
  const cache = figures?.kv_use ?? null;
  return [
    [trans.__('Engine'), told ? `${engine}: ${told}` : engine],
    adapter ? [trans.__('Adapter'), adapter] : null,
    rate !== null
      ? [
          trans.__('Speed'),
          trans.__('%1 tokens/s (median)', formatNumber(rate))
        ]
      : null,
    first !== null
      ? [
          trans.__('First token'),
          trans.__('%1 ms (median)', formatNumber(Math.round(first)))
        ]
      : null,
    figures && figures.completion_tokens > 0
      ? [
          trans.__('Tokens'),
          trans.__(
            '%1 in prompts, %2 in answers',
            figures.prompt_tokens.toLocaleString(),
            figures.completion_tokens.toLocaleString()
          )
        ]
      : null,
    cache !== null
      ? [trans.__('KV cache in use'), trans.__('%1 %', Math.round(cache * 100))]
      : null
  ];
}

export namespace DeploymentDetail {
  export interface IProps extends IDeploymentActions {
    deployment: IDeployment;
    model: DeploymentsModel;
    trans: TranslationBundle;
    /** Make a model active only while the section is visible. */
    drive: (driven: IDriven) => { dispose(): void };
  }
}

function DetailActions(
  props: DeploymentDetail.IProps & { active: boolean }
): React.ReactElement {
  const { deployment, trans, active } = props;
  const { name, state, url } = deployment;
  const lineage = (
    <ActionButton
      label={trans.__('Lineage')}
      caption={trans.__('Show the version, run and data that it stands on')}
      onClick={() => props.onLineage(deployment)}
    />
  );
  if (!active) {
    return (
      <div className="gol-Actions">
        <ActionButton
          label={trans.__('Deploy again…')}
          onClick={() => props.onDeployAgain(deployment)}
        />
        {lineage}
        <IconButton
          icon={deleteIcon}
          label={trans.__('Delete the deployment %1', name)}
          onClick={() => props.onDelete(deployment)}
        />
      </div>
    );
  }
  return (
    <div className="gol-Actions">
      <ActionButton
        label={trans.__('Stop')}
        caption={trans.__(
          'Finish the requests in flight, then stop %1. You can deploy it again.',
          name
        )}
        disabled={state === 'stopping'}
        onClick={() => props.onStop(deployment)}
      />
      {deployment.updating_to &&
      deployment.rollout?.candidate !== deployment.updating_to ? (
        <ActionButton
          label={trans.__('Cancel the update')}
          caption={trans.__(
            'Stop revision %1; the current one goes on',
            deployment.updating_to
          )}
          onClick={() => props.onRollBack(deployment, 0)}
        />
      ) : null}
      {url && state === 'running' && (
        <ActionButton
          label={trans.__('Try it')}
          caption={trans.__('Send requests and look at the answers')}
          onClick={() => props.onTry(deployment)}
        />
      )}
      {url && state === 'running' && (
        <ActionButton
          label={trans.__('Load tests')}
          caption={trans.__(
            'Test how many requests a second it answers in time, and compare tests'
          )}
          onClick={() => props.onTry(deployment, 'load')}
        />
      )}
      {url && state === 'running' && (
        <ActionButton
          label={trans.__('Addresses')}
          caption={trans.__('Show who reaches it from where, and with what')}
          onClick={() => props.onTry(deployment, 'addresses')}
        />
      )}
      {lineage}
      {url && state === 'running' && (
        <CopyButton
          text={async () =>
            curlCommand({ url, key: await props.model.service.key(name) })
          }
          label={trans.__('Copy a curl command, with the key')}
          word={trans.__('Copy curl')}
          trans={trans}
        />
      )}
    </div>
  );
}

function Lease(props: DeploymentDetail.IProps): React.ReactElement {
  const { deployment, trans, onRenew } = props;
  const now = useNow(15);
  const left = deployment.lease_until - now;
  return (
    <span className="gol-Facts-cut">
      <span title={formatMoment(deployment.lease_until)}>
        {left > 0
          ? trans.__('ends in %1', formatDuration(roughly(left)))
          : trans.__('has ended')}
      </span>
      {deployment.state === 'running' && (
        <IconButton
          icon={refreshIcon}
          className="gol-CopyButton"
          label={trans.__('Extend the time of %1', deployment.name)}
          onClick={() => onRenew(deployment)}
        />
      )}
    </span>
  );
}

/** Seconds, rounded down to whole hours from 2 h on. */
function roughly(seconds: number): number {
  return seconds < 2 * 3600 ? seconds : Math.floor(seconds / 3600) * 3600;
}

/** The live figures and log while the row is open and visible. */
function useWatch(props: DeploymentDetail.IProps): IWatchSnapshot {
  const { deployment, model, drive } = props;
  const { name, created_at } = deployment;
  // A second deployment of the same name has its own log.
  const watch = React.useMemo(
    () => model.watch(name),
    [model, name, created_at]
  );
  React.useEffect(() => {
    const driven = drive(watch);
    return () => {
      driven.dispose();
      watch.dispose();
    };
  }, [watch]);
  return useSignalled(watch.changed, () => watch.snapshot);
}
