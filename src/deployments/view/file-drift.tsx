import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { components } from '../../api/generated';
import { ApiError, Callout } from '../../core';

import type { DeploymentsService, IDeployment } from '../service';

import '../../../style/registry/file-check.css';

type IDescribed = components['schemas']['DescribedDeployment'];

/** What differs between a deployment and the file that it was applied from; nothing if they agree. */
export function FileDrift(props: {
  deployment: IDeployment;
  service: DeploymentsService;
  trans: TranslationBundle;
}): React.ReactElement | null {
  const { deployment, service, trans } = props;
  const { name, file, state, revision, updating_to } = deployment;
  const [found, setFound] = React.useState<IDescribed | ApiError>();
  React.useEffect(() => {
    if (!file) {
      return;
    }
    const stop = new AbortController();
    service.api
      .data(
        service.api.http.GET('/deployments/{name}/file', {
          params: { path: { name } },
          signal: stop.signal
        })
      )
      .then(setFound, reason => {
        if (!stop.signal.aborted) {
          setFound(ApiError.from(reason, trans));
        }
      });
    return () => stop.abort();
  }, [service, trans, name, file, state, revision, updating_to]);
  if (!file || found === undefined) {
    return null;
  }
  const problem = found instanceof ApiError ? found.message : found.problem;
  if (problem) {
    return (
      <p className="gol-Note">
        {trans.__('The difference from %1 is unknown: %2', file, problem)}
      </p>
    );
  }
  const drift = (found as IDescribed).drift;
  return drift.length === 0 ? null : (
    <Callout
      tone="info"
      title={trans.__('The deployment differs from %1.', file)}
    >
      <DeploymentChanges changes={drift} trans={trans} />
      <p>{trans.__('Make it as the file says: genops apply %1', file)}</p>
    </Callout>
  );
}

/** A list of differences. */
export function DeploymentChanges(props: {
  changes: readonly components['schemas']['DeploymentChange'][];
  trans: TranslationBundle;
}): React.ReactElement {
  return (
    <ul className="gol-Findings">
      {props.changes.map(({ what, now, file }) => (
        <li key={what}>
          {props.trans.__('%1: %2 → %3', what, now || '–', file || '–')}
        </li>
      ))}
    </ul>
  );
}
