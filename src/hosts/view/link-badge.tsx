import type { TranslationBundle } from '@jupyterlab/translation';
import { circleEmptyIcon, circleIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { Callout, StatusBadge, useNow } from '../../core';

import type { ILink } from '../messages';
import { describeLink } from '../messages';

/** The state of a target's connection: a dot and a word. */
export function LinkBadge(props: {
  target: ILink;
  trans: TranslationBundle;
}): React.ReactElement {
  const { target, trans } = props;
  const { tone, label, detail } = describeLink(
    target,
    Date.now() / 1000,
    trans
  );
  return (
    <StatusBadge
      tone={tone}
      label={label}
      caption={detail || undefined}
      icon={
        target.state === 'idle' || target.state === 'down'
          ? circleEmptyIcon
          : target.state === 'connecting' || target.state === 'pending'
            ? undefined
            : circleIcon
      }
    />
  );
}

/** Why a target's connection failed, and what to do about it. */
export function LinkFailure(props: {
  target: ILink;
  trans: TranslationBundle;
}): React.ReactElement {
  const { target, trans } = props;
  return (
    <Callout tone="error" title={trans.__('The connection failed.')}>
      {target.message && <p>{target.message}</p>}
      {target.hint && <p>{target.hint}</p>}
    </Callout>
  );
}

/** The details of a lost connection, with a countdown to the next attempt. */
export function LinkDetail(props: {
  target: ILink;
  trans: TranslationBundle;
}): React.ReactElement | null {
  const { target, trans } = props;
  const counts = target.state === 'down' || target.state === 'pending';
  const now = useNow(counts ? 1 : 0);
  const { detail } = describeLink(target, counts ? now : 0, trans);
  return detail ? <p className="gol-Note">{detail}</p> : null;
}
