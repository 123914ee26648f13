import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { ActionButton, StatusBadge, formatMoment } from '../../core';
import { formatNumber } from '../../core/format';

import { describeState } from '../model';
import type { IDeployment } from '../service';

type IRevision = NonNullable<IDeployment['revisions']>[number];

/** The revisions of a deployment, the newest first, with the way back to each. */
export function Revisions(props: {
  deployment: IDeployment;
  trans: TranslationBundle;
  onRollBack: (deployment: IDeployment, to: number) => void;
}): React.ReactElement | null {
  const { deployment, trans, onRollBack } = props;
  const revisions = deployment.revisions ?? [];
  if (revisions.length < 2) {
    return null;
  }
  return (
    <ul
      className="gol-Revisions"
      aria-label={trans.__('Revisions of %1', deployment.name)}
    >
      {revisions.map(revision => (
        <li
          key={revision.number}
          aria-current={revision.is_current ? 'true' : undefined}
        >
          <div className="gol-Revisions-what">
            <span className="gol-Revisions-name">
              {trans.__(
                'r%1: %2 v%3',
                revision.number,
                revision.model,
                revision.version
              )}
            </span>
            <StatusBadge
              {...describeState(revision.state, trans)}
              caption={revision.message || undefined}
            />
          </div>
          <div className="gol-Revisions-what">
            <span className="gol-Revisions-figures">
              {figures(revision, trans)}
            </span>
            {!revision.is_current && !revision.is_update && (
              <ActionButton
                label={trans.__('Roll back')}
                caption={back(revision, trans)}
                disabled={Boolean(deployment.updating_to)}
                onClick={() => onRollBack(deployment, revision.number)}
              />
            )}
          </div>
        </li>
      ))}
    </ul>
  );
}

function figures(revision: IRevision, trans: TranslationBundle): string {
  const parts = [
    trans.__('%1 % of requests', revision.weight),
    trans._n('%1 request', '%1 requests', revision.requests)
  ];
  if (revision.replicas) {
    parts.push(replicasOf(revision.replicas, trans));
  }
  if (revision.errors) {
    parts.push(trans._n('%1 error', '%1 errors', revision.errors));
  }
  if (revision.latency_ms !== null) {
    parts.push(
      trans.__(
        '%1 ms (p50)',
        formatNumber(Number(revision.latency_ms.toPrecision(3)))
      )
    );
  }
  return parts.join(' · ');
}

/** How many replicas answer, of how many. */
export function replicasOf(
  replicas: NonNullable<IRevision['replicas']>,
  trans: TranslationBundle
): string {
  const { ready, min, max } = replicas;
  return min === max
    ? trans.__('%1 of %2 replicas', ready, max)
    : trans.__('%1 of %2–%3 replicas', ready, min, max);
}

function back(revision: IRevision, trans: TranslationBundle): string {
  return revision.state === 'running'
    ? trans.__(
        'Send the requests to revision %1 again, at once. It is warm until %2.',
        revision.number,
        formatMoment(revision.lease_until)
      )
    : trans.__(
        'Start revision %1 again, then send the requests to it',
        revision.number
      );
}
