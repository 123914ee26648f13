import type { TranslationBundle } from '@jupyterlab/translation';
import { circleIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import {
  ActionButton,
  Facts,
  StatusBadge,
  formatDuration,
  useNow,
  useResource,
  useRevision
} from '../../core';
import { stateWord } from '../../kernels/kernel-messages';
import type { ICurrentNotebook } from '../../panel/notebook/tokens';
import type { ISection } from '../../panel/tokens';

import {
  costSoFar,
  describePending,
  formatPrice,
  formatRoundTrip,
  goneWords,
  priceOf
} from '../messages';
import type { TargetsModel } from '../model';
import { NotebookTarget } from '../notebook-target';
import type { ITarget } from '../service';

import { LinkBadge } from './link-badge';

/** Where the notebook in front runs, how its kernel is, and what that has cost. */
export function NotebookHost(
  props: NotebookHost.IProps
): React.ReactElement | null {
  const { current, model, section } = props;
  useRevision(current.changed);
  const session = current.panel?.sessionContext;
  const [notebook, setNotebook] = React.useState<NotebookTarget | null>(null);
  React.useEffect(() => {
    if (!session || session.isDisposed) {
      setNotebook(null);
      return;
    }
    const own = new NotebookTarget(session, model);
    const driven = section.drive(own);
    setNotebook(own);
    return () => {
      driven.dispose();
      own.dispose();
    };
  }, [session, model, section]);
  return notebook && !notebook.isDisposed ? (
    <Host {...props} notebook={notebook} />
  ) : null;
}

export namespace NotebookHost {
  export interface IProps {
    current: ICurrentNotebook;
    model: TargetsModel;
    section: ISection;
    trans: TranslationBundle;
    /** Choose another target for the notebook, or add the first one. */
    onConnect: () => void;
    onReconnect: (target: string) => void;
  }
}

function Host(
  props: NotebookHost.IProps & { notebook: NotebookTarget }
): React.ReactElement {
  const { notebook, trans } = props;
  useRevision(notebook.changed);
  const { target, targetName, isRemote, kernelId, pending, gone } = notebook;
  const now = useNow(pending ? 1 : 0);
  const waits = gone
    ? goneWords(gone, trans)
    : pending && describePending(pending, now, trans);
  const isUp = target?.state === 'up' && !waits;
  const price = target ? priceOf(target, notebook.kernelName) : null;
  const name = isRemote
    ? targetName
    : kernelId
      ? trans.__('This machine')
      : trans.__('No kernel');
  const state = waits ? (
    <StatusBadge tone={waits.tone} label={waits.label} caption={waits.detail} />
  ) : isUp && target.rtt_s !== null ? (
    <StatusBadge
      tone="ok"
      icon={circleIcon}
      label={
        <>
          <span className="gol-VisuallyHidden">{trans.__('connected')}</span>{' '}
          {formatRoundTrip(target.rtt_s)}
        </>
      }
      caption={trans.__('Connected; the round trip to the host')}
    />
  ) : target ? (
    <LinkBadge target={target} trans={trans} />
  ) : isRemote && notebook.model.targets ? (
    <StatusBadge tone="warning" label={trans.__('no longer a target')} />
  ) : null;
  return (
    <>
      <Facts
        facts={[
          [
            trans.__('Runs on'),
            <span key="host" className="gol-ThisNotebook-value" title={name}>
              <span className="gol-ThisNotebook-cut">{name}</span>
              {state}
            </span>
          ],
          kernelId && !waits
            ? [
                trans.__('Kernel'),
                stateWord(notebook.session.kernelDisplayStatus, trans).label
              ]
            : null
        ]}
      />
      {isUp && price !== null && (
        <Cost {...props} target={target} kernelId={kernelId} price={price} />
      )}
      {!isRemote && (
        <div className="gol-Actions">
          <ActionButton
            label={trans.__('Run on another target…')}
            caption={trans.__(
              'Choose the target, a machine or cluster, that runs this notebook, or add one'
            )}
            onClick={props.onConnect}
          />
        </div>
      )}
      {target && !gone && ['down', 'failed', 'idle'].includes(target.state) && (
        <div className="gol-Actions">
          <ActionButton
            label={trans.__('Reconnect')}
            caption={trans.__('Connect to %1 now', target.name)}
            onClick={() => props.onReconnect(target.name)}
          />
        </div>
      )}
    </>
  );
}

/** The time of the kernel by the price of its target. */
function Cost(
  props: NotebookHost.IProps & {
    target: ITarget;
    kernelId: string;
    price: number;
  }
): React.ReactElement | null {
  const { target, kernelId, price, model, section, trans } = props;
  const kernels = React.useMemo(
    () => model.kernels(target.name),
    [model, target.name, kernelId]
  );
  React.useEffect(() => {
    const driven = section.drive(kernels);
    return () => {
      driven.dispose();
      kernels.dispose();
    };
  }, [kernels, section]);
  const { value } = useResource(kernels);
  const now = useNow(15);
  const started = value?.kernels.find(
    ({ kernel_id }) => kernel_id === kernelId
  )?.started_at;
  if (typeof started !== 'number') {
    return null;
  }
  const seconds = Math.max(0, now - started);
  return (
    <Facts
      facts={[
        [
          trans.__('Cost'),
          <span
            key="cost"
            title={trans.__(
              'Cost so far: %1 since the kernel started, at %2 (the price of the target %3)',
              formatDuration(seconds),
              formatPrice(price, trans),
              target.name
            )}
          >
            {trans.__(
              '%1 at %2',
              costSoFar(price, seconds),
              formatPrice(price, trans)
            )}
          </span>
        ]
      ]}
    />
  );
}
