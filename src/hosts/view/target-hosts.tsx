import { PathExt } from '@jupyterlab/coreutils';
import * as React from 'react';

import { ActionButton, StatusBadge, useNow } from '../../core';

import type { ITargetHost } from '../service';
import {
  endWords,
  endsSoon,
  formatPrice,
  hostNoun,
  leftOverWords,
  staleWords
} from '../messages';

import { useFirst } from './first-items';
import { GpuBars, HostBars } from './gpu-bars';
import { LinkBadge, LinkDetail, LinkFailure } from './link-badge';
import type { TargetCard } from './target-card';

/**
 * The hosts of a target that gets one for each kernel: their readings, and
 * those that no kernel needs.
 */
export function TargetHosts(
  props: TargetCard.IProps
): React.ReactElement | null {
  const { target, trans } = props;
  // A pending host is shown with its pending kernel.
  const waited = new Set(target.pending.map(kernel => kernel.kernel_id));
  const hosts = target.hosts.filter(host => !waited.has(host.host_id));
  const { shown, more } = useFirst(hosts, trans);
  if (hosts.length === 0) {
    return null;
  }
  return (
    <ul
      className="gol-TargetHosts"
      aria-label={trans.__('%1s of %2', hostNoun(target, trans), target.name)}
    >
      {shown.map(host => (
        <li key={host.host_id}>
          {host.left_over ? (
            <LeftOver {...props} host={host} />
          ) : (
            <NeededHost {...props} host={host} />
          )}
        </li>
      ))}
      {more}
    </ul>
  );
}

interface IProps extends TargetCard.IProps {
  host: ITargetHost;
}

function Title({ host, target, trans }: IProps): React.ReactElement {
  const noun = hostNoun(target, trans);
  return (
    <span
      className="gol-Target-name"
      title={[host.path, host.host_id].filter(Boolean).join('\n')}
    >
      {host.path
        ? trans.__('%1 of %2', noun, PathExt.basename(host.path))
        : `${noun} ${host.host_id.slice(0, SHORT)}`}
    </span>
  );
}

function NeededHost(props: IProps): React.ReactElement {
  const { host, target, trans } = props;
  const link = { ...host, retry_at: null };
  const stale = staleWords(host, trans);
  return (
    <>
      <div className="gol-Target-head">
        <Title {...props} />
        <LinkBadge target={link} trans={trans} />
      </div>
      {host.state === 'failed' ? (
        <LinkFailure target={link} trans={trans} />
      ) : (
        <LinkDetail target={link} trans={trans} />
      )}
      {endsSoon(host, Date.now() / 1000) && (
        <p className="gol-Note gol-mod-warning">
          {endWords(host, hostNoun(target, trans), Date.now() / 1000, trans)}
        </p>
      )}
      {host.reading && (
        <div className={stale ? 'gol-Bars gol-mod-old' : 'gol-Bars'}>
          <GpuBars reading={host.reading} trans={trans} />
          <HostBars reading={host.reading} trans={trans} />
        </div>
      )}
      {stale && <p className="gol-Note">{stale}</p>}
    </>
  );
}

function LeftOver(props: IProps): React.ReactElement {
  const { host, target, trans } = props;
  const now = useNow(host.release_at === null ? 0 : EVERY_S);
  const price = formatPrice(target.price_per_hour, trans);
  return (
    <>
      <div className="gol-Target-head">
        <Title {...props} />
        <StatusBadge tone="warning" label={trans.__('left over')} />
      </div>
      <p className="gol-Note">
        {leftOverWords(host, now, trans)}
        {price && ` ${trans.__('It costs %1.', price)}`}
      </p>
      <div className="gol-Actions">
        <ActionButton
          label={trans.__('Stop now')}
          caption={trans.__('Stop %1; all processes on it end', host.host_id)}
          onClick={() => props.onRelease(target, host)}
        />
      </div>
    </>
  );
}

/** The shown length of an id. */
const SHORT = 8;

/** Seconds between two draws of the remaining time. */
const EVERY_S = 10;
