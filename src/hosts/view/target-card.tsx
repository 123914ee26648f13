import type { TranslationBundle } from '@jupyterlab/translation';
import {
  codeCheckIcon,
  deleteIcon,
  folderIcon,
  settingsIcon,
  terminalIcon,
  textEditorIcon
} from '@jupyterlab/ui-components';
import * as React from 'react';

import {
  ActionButton,
  Disclosure,
  Facts,
  IconButton,
  formatBytesOf,
  useNow
} from '../../core';
import type { IDriven } from '../../panel/tokens';

import type { TargetsModel } from '../model';
import { isUnderWay } from '../model';
import type {
  IPendingKernel,
  IRemoteKernel,
  ITarget,
  ITargetHost
} from '../service';
import {
  describePending,
  formatPrice,
  formatRoundTrip,
  hostNoun,
  minutesWords,
  savedWords,
  staleWords,
  targetTitle,
  warmWords
} from '../messages';

import { GpuBars, GpuDetails, HostBars } from './gpu-bars';
import { KernelsThere } from './kernels-there';
import { useFirst } from './first-items';
import { TargetCapacity } from './target-capacity';
import { TargetHosts } from './target-hosts';
import { LinkBadge, LinkDetail, LinkFailure } from './link-badge';

/** The actions on a target. */
export interface ITargetActions {
  onConnect: (target: ITarget) => void;
  onDisconnect: (target: ITarget) => void;
  onTest: (target: ITarget) => void;
  onRemove: (target: ITarget) => void;
  onSettings: (target: ITarget) => void;
  onRequest: (target: ITarget) => void;
  onClean: (target: ITarget) => void;
  onRelease: (target: ITarget, host: ITargetHost) => void;
  onNewNotebook: (target: ITarget) => void;
  onAttachKernel: (target: ITarget, kernel: IRemoteKernel) => void;
  onStopKernel: (target: ITarget, kernel: IRemoteKernel) => void;
  onKernelLog: (target: ITarget, kernel: IRemoteKernel) => void;
  onOpenPort: (target: ITarget, kernel: IRemoteKernel) => void;
  /** Open a shell on a target, or beside a kernel. */
  onTerminal: (target: string, kernelId?: string) => void;
  /** Browse the files of a target, or of a kernel's host; null without a file browser. */
  onFiles: ((target: string, kernelId?: string) => void) | null;
  /** The title of a pending kernel: its notebook's name. */
  titleOf: (kernel: IPendingKernel) => string;
  onGiveUp: (kernel: IPendingKernel) => void;
}

/** A target: its connection, its host's readings, and its actions. */
export function TargetCard(props: TargetCard.IProps): React.ReactElement {
  const { target, trans } = props;
  const { reading, state } = target;
  const stale = staleWords(target, trans);
  const waits = new Set(target.pending.map(({ kernel_id }) => kernel_id));
  const own =
    waits.size +
    target.hosts.filter(host => !host.left_over && !waits.has(host.host_id))
      .length;
  const line = [
    // Where a target has many hosts, each has its own.
    formatRoundTrip(state === 'up' && !target.allocates ? target.rtt_s : null),
    formatPrice(target.price_per_hour, trans),
    target.is_this_machine
      ? trans.__('this machine')
      : target.allocates
        ? trans.__(
            '%1, a %2 for each kernel',
            target.where,
            hostNoun(target, trans)
          )
        : target.host
  ].filter(Boolean);
  const ours = [
    own > 0 ? trans._n('%1 kernel', '%1 kernels', own) : '',
    savedWords(target, trans)
  ].filter(Boolean);
  return (
    <section
      className={`gol-Target gol-mod-${state}`}
      aria-label={trans.__('Target %1', target.name)}
    >
      <div className="gol-Target-head" role="status">
        <h5 className="gol-Target-name" title={target.name}>
          {target.name}
        </h5>
        <LinkBadge target={target} trans={trans} />
      </div>
      <p className="gol-Target-line" title={line.join(' · ')}>
        {line.join(' · ')}
      </p>
      {target.allocates ? null : state === 'failed' ? (
        <LinkFailure target={target} trans={trans} />
      ) : (
        target.pending.length === 0 && (
          <LinkDetail target={target} trans={trans} />
        )
      )}
      {ours.length > 0 && (
        <p className="gol-Capacity-words">{ours.join(' · ')}</p>
      )}
      <TargetCapacity target={target} model={props.model} trans={trans} />
      <PendingKernels {...props} />
      {reading && (
        <div className={stale ? 'gol-Bars gol-mod-old' : 'gol-Bars'}>
          <GpuBars reading={reading} trans={trans} />
          <HostBars reading={reading} trans={trans} />
        </div>
      )}
      {stale && <p className="gol-Note">{stale}</p>}
      <TargetHosts {...props} />
      <TargetButtons {...props} />
      {(reading ?? (target.allocates && state === 'up')) && (
        <Disclosure title={trans.__('Details')}>
          <TargetDetails target={target} trans={trans} />
          {state === 'up' && (
            <div className="gol-Actions">
              <ActionButton
                label={trans.__('Free space…')}
                caption={trans.__(
                  'See what GenOps Lab stores on %1, and remove what you no longer need',
                  target.name
                )}
                onClick={() => props.onClean(target)}
              />
            </div>
          )}
        </Disclosure>
      )}
      {state === 'up' && (
        <Disclosure title={trans.__('Running kernels')}>
          <KernelsThere {...props} />
        </Disclosure>
      )}
    </section>
  );
}

export namespace TargetCard {
  export interface IProps extends ITargetActions {
    target: ITarget;
    model: TargetsModel;
    trans: TranslationBundle;
    /** Ties reading to what the user can see. */
    drive: (driven: IDriven) => { dispose(): void };
  }
}

/** The pending kernels: the notebook, the reason, the waiting time. */
function PendingKernels(props: TargetCard.IProps): React.ReactElement | null {
  const { trans } = props;
  const { name, pending } = props.target;
  const now = useNow(pending.length > 0 ? 1 : 0);
  const { shown, more } = useFirst(pending, trans);
  if (pending.length === 0) {
    return null;
  }
  return (
    <ul
      className="gol-Target-pending"
      aria-label={trans.__('Kernels of %1 that wait to start', name)}
    >
      {shown.map(kernel => {
        const { label, detail } = describePending(kernel, now, trans);
        const title = props.titleOf(kernel);
        return (
          <li key={kernel.kernel_id}>
            <p>
              <strong>{title}</strong> {label}
            </p>
            <p className="gol-Note">{detail}</p>
            <ActionButton
              label={trans.__('Cancel start')}
              caption={trans.__(
                'Shut down the kernel of %1 and give up its place in the queue',
                title
              )}
              onClick={() => props.onGiveUp(kernel)}
            />
          </li>
        );
      })}
      {more}
    </ul>
  );
}

function TargetButtons(props: TargetCard.IProps): React.ReactElement {
  const { target, trans } = props;
  const { name, state, pending } = target;
  const title = targetTitle(target, trans);
  const busy = isUnderWay(target);
  return (
    <div className="gol-Actions">
      {(state === 'idle' || state === 'failed') && (
        <ActionButton
          label={trans.__('Connect')}
          caption={trans.__(
            'Connect to %1; the host may ask for a password',
            name
          )}
          onClick={() => props.onConnect(target)}
        />
      )}
      {state === 'down' && (
        <ActionButton
          label={trans.__('Reconnect now')}
          caption={trans.__('Connect to %1 at once', name)}
          onClick={() => props.onConnect(target)}
        />
      )}
      {(state === 'up' || state === 'idle' || pending.length > 0) && (
        <ActionButton
          label={trans.__('New notebook')}
          caption={trans.__(
            'Open a new notebook whose kernel runs on %1',
            title
          )}
          onClick={() => props.onNewNotebook(target)}
        />
      )}
      {(state === 'up' ||
        state === 'down' ||
        (busy && pending.length === 0)) && (
        <ActionButton
          label={busy ? trans.__('Cancel') : trans.__('Disconnect')}
          caption={trans.__(
            'Disconnect from %1; its kernels keep running',
            name
          )}
          onClick={() => props.onDisconnect(target)}
        />
      )}
      <span className="gol-Target-icons">
        {state === 'up' && !target.allocates && (
          <IconButton
            icon={terminalIcon}
            label={trans.__('Open a terminal on %1', name)}
            onClick={() => props.onTerminal(name)}
          />
        )}
        {state === 'up' && !target.allocates && props.onFiles && (
          <IconButton
            icon={folderIcon}
            label={trans.__('Browse files of %1', name)}
            onClick={() => props.onFiles?.(name)}
          />
        )}
        <IconButton
          icon={codeCheckIcon}
          label={trans.__('Test %1', name)}
          disabled={busy}
          onClick={() => props.onTest(target)}
        />
        {target.request_language && (
          <IconButton
            icon={textEditorIcon}
            label={
              target.request_language === 'yaml'
                ? trans.__('Show the YAML of %1', name)
                : trans.__('Show the batch script of %1', name)
            }
            onClick={() => props.onRequest(target)}
          />
        )}
        {!target.locked && (
          <IconButton
            icon={settingsIcon}
            label={trans.__('Settings of %1', name)}
            onClick={() => props.onSettings(target)}
          />
        )}
        {!target.locked && (
          <IconButton
            icon={deleteIcon}
            label={trans.__('Delete %1', name)}
            onClick={() => props.onRemove(target)}
          />
        )}
      </span>
    </div>
  );
}

/** The details below the bars. */
export function TargetDetails(props: {
  target: ITarget;
  trans: TranslationBundle;
}): React.ReactElement {
  const { target, trans } = props;
  const { reading } = target;
  const load = reading?.load?.map(each => each.toFixed(2)).join(' ');
  const disk =
    reading?.disk_total_bytes && reading.disk_free_bytes !== null
      ? formatBytesOf(
          reading.disk_total_bytes - reading.disk_free_bytes,
          reading.disk_total_bytes
        )
      : '';
  const warm = warmWords(target, trans);
  const minutes = target.policy.idle_minutes;
  const idle = minutes ? trans.__('%1 idle', minutesWords(minutes, trans)) : '';
  const login = target.user ? `${target.user}@${target.host}` : target.host;
  return (
    <>
      {reading?.gpus.map(gpu => (
        <GpuDetails key={gpu.index} gpu={gpu} trans={trans} />
      ))}
      <Facts
        facts={[
          reading ? [trans.__('Machine'), reading.hostname] : null,
          target.allocates
            ? [trans.__('Where'), target.where]
            : target.host
              ? [trans.__('Host'), login]
              : null,
          [trans.__('Python'), target.python],
          load ? [trans.__('Load'), load] : null,
          disk ? [trans.__('Disk'), disk] : null,
          warm ? [trans.__('Kernels'), warm] : null,
          idle ? [trans.__('Idle limit'), idle] : null,
          target.carrier_used
            ? [trans.__('Connection'), target.carrier_used]
            : null,
          target.secrets.length > 0
            ? [trans.__('Secrets'), target.secrets.join(', ')]
            : null
        ]}
      />
    </>
  );
}
