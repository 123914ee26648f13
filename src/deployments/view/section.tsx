import * as React from 'react';

import {
  ApiError,
  Callout,
  Disclosure,
  EmptyState,
  RelativeTime,
  ResourceView,
  StatusBadge
} from '../../core';

import { describeState } from '../model';
import type { IDeployment, RolloutDecision } from '../service';

import { DeploymentDetail } from './detail';

import '../../../style/deployments/deployments.css';

/** The section "Deployments". */
export function DeploymentsSection(
  props: DeploymentsSection.IProps
): React.ReactElement {
  const { model, trans, onDeploy, onApply } = props;
  const [failure, setFailure] = React.useState<ApiError>();
  const busy = React.useRef(false);
  const change = (ask: () => Promise<IDeployment>) => {
    if (busy.current) {
      return; // the second click of a double click
    }
    busy.current = true;
    setFailure(undefined);
    ask()
      .then(() => model.list.refresh())
      .catch((reason: unknown) => setFailure(ApiError.from(reason, trans)))
      .finally(() => {
        busy.current = false;
      });
  };
  const rollBack = (deployment: IDeployment, to: number) =>
    change(() => model.service.rollBack(deployment.name, to));
  const decide = (deployment: IDeployment, decision: RolloutDecision) =>
    change(() =>
      model.service.decide(
        deployment.name,
        decision,
        deployment.rollout?.id ?? ''
      )
    );
  return (
    <ResourceView
      resource={model.list}
      trans={trans}
      down={trans.__('Deployments cannot be read.')}
      keepMounted
      empty={
        <EmptyState
          text={trans.__(
            'No deployments yet. Deploy a model version to serve it at its own URL.'
          )}
          actions={[
            { label: trans.__('Deploy a model…'), onClick: onDeploy },
            ...(onApply
              ? [{ label: trans.__('Apply a file…'), onClick: onApply }]
              : [])
          ]}
        />
      }
    >
      {deployments => (
        <>
          {failure && (
            <Callout tone="error" title={failure.message}>
              {failure.hint}
            </Callout>
          )}
          <ul className="gol-List" aria-label={trans.__('Deployments')}>
            {deployments.map(deployment => (
              <li key={deployment.name}>
                <Disclosure
                  title={deployment.name}
                  tip={`${deployment.name}: ${deployment.model} v${deployment.version}`}
                  initiallyOpen={deployments.length === 1}
                  meta={
                    <>
                      <StatusBadge
                        {...describeState(deployment.state, trans)}
                        caption={deployment.message}
                      />
                      <span title={trans.__('The current revision')}>
                        {trans.__('r%1', deployment.revision ?? 1)}
                      </span>
                      <span className="gol-mod-wide">
                        <RelativeTime
                          seconds={deployment.created_at}
                          trans={trans}
                        />
                      </span>
                    </>
                  }
                >
                  <DeploymentDetail
                    {...props}
                    deployment={deployment}
                    onRollBack={rollBack}
                    onDecide={decide}
                  />
                </Disclosure>
              </li>
            ))}
          </ul>
        </>
      )}
    </ResourceView>
  );
}

export namespace DeploymentsSection {
  export interface IProps extends Omit<
    DeploymentDetail.IProps,
    'deployment' | 'onRollBack' | 'onDecide'
  > {
    onDeploy: () => void;
    /** Null where there are no file browsers. */
    onApply: (() => void) | null;
  }
}
