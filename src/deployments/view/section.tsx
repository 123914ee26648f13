import * as React from 'react';

import {
  Disclosure,
  EmptyState,
  RelativeTime,
  ResourceView,
  StatusBadge
} from '../../core';

import { describeState } from '../model';

import { DeploymentDetail } from './detail';

import '../../../style/deployments/deployments.css';

/** The section "Deployments". */
export function DeploymentsSection(
  props: DeploymentsSection.IProps
): React.ReactElement {
  const { model, trans, onDeploy } = props;
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
          actions={[{ label: trans.__('Deploy a model…'), onClick: onDeploy }]}
        />
      }
    >
      {deployments => (
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
                    <span className="gol-mod-wide">
                      <RelativeTime
                        seconds={deployment.created_at}
                        trans={trans}
                      />
                    </span>
                  </>
                }
              >
                <DeploymentDetail {...props} deployment={deployment} />
              </Disclosure>
            </li>
          ))}
        </ul>
      )}
    </ResourceView>
  );
}

export namespace DeploymentsSection {
  export interface IProps extends Omit<DeploymentDetail.IProps, 'deployment'> {
    onDeploy: () => void;
  }
}
