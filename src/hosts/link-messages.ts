/** Format the state of a connection to a target, for the toolbar, the panel and the picker. */
import type { TranslationBundle } from '@jupyterlab/translation';

import type { Tone } from '../core';
import { formatDuration } from '../core';

import type { IPendingKernel, ITarget, ITargetHost } from './service';

/** The state of a connection: to a target, or to one of its hosts. */
export type ILink = Pick<
  ITarget,
  'state' | 'since' | 'message' | 'hint' | 'retry_at'
>;

/**
 * A state in one word with its tone, and a sentence where there is more to say.
 */
export interface IStateWords {
  readonly tone: Tone;
  readonly label: string;
  /** A sentence; empty where the word is enough. */
  readonly detail: string;
}

/**
 * The state of a connection for users. A connection that was lost is
 * "disconnected": its kernels keep running. `now` in seconds since 1970.
 */
export function describeLink(
  target: ILink,
  now: number,
  trans: TranslationBundle
): IStateWords {
  switch (target.state) {
    case 'up':
      return { tone: 'ok', label: trans.__('connected'), detail: '' };
    case 'connecting':
      return { tone: 'busy', label: trans.__('connecting'), detail: '' };
    case 'pending':
      return {
        tone: 'busy',
        label: trans.__('waiting to start'),
        detail: trans.__(
          '%1 It has waited for %2.',
          target.message,
          formatDuration(Math.max(now - (target.since ?? now), 0))
        )
      };
    case 'asking':
      return {
        tone: 'warning',
        label: trans.__('needs an answer'),
        detail: trans.__('The login asks a question that only you can answer.')
      };
    case 'down':
      return {
        tone: 'warning',
        label: trans.__('disconnected'),
        detail: retryWords(target, now, trans)
      };
    case 'failed':
      return {
        tone: 'error',
        label: trans.__('failed'),
        detail: [target.message, target.hint].filter(Boolean).join(' ')
      };
    default:
      return { tone: 'stopped', label: trans.__('not connected'), detail: '' };
  }
}

/**
 * What a pending kernel waits for, and for how long. `now` in seconds since
 * 1970.
 */
export function describePending(
  { reason, since }: IPendingKernel,
  now: number,
  trans: TranslationBundle
): IStateWords {
  const minutes = Math.floor((now - since) / 60);
  const waited = minutes > 0 ? formatDuration(60 * minutes) : '';
  return {
    tone: 'busy',
    label: waited
      ? trans.__('waiting to start, %1', waited)
      : trans.__('waiting to start'),
    detail: reason
  };
}

/** A host that ends. Times in seconds since 1970. */
export type IEnding = Pick<ITargetHost, 'ends_at' | 'notice'>;

/** Seconds before a known end in which users are told. */
const SOON_S = 900;

/** Whether users are told of a host's end now. */
export function endsSoon({ ends_at, notice }: IEnding, now: number): boolean {
  return notice !== '' || (ends_at !== null && ends_at - now <= SOON_S);
}

/** The end of a host in a few words: `ends in 10 min`. */
export function endLabel(
  { ends_at }: IEnding,
  now: number,
  trans: TranslationBundle
): string {
  return ends_at === null
    ? trans.__('ends soon')
    : trans.__('ends in %1', formatDuration(wholeMinutes(ends_at - now)));
}

/** When a host ends, and why where that is known. `noun`: a pod, a job. */
export function endWords(
  { ends_at, notice }: IEnding,
  noun: string,
  now: number,
  trans: TranslationBundle
): string {
  if (ends_at === null) {
    return trans.__('%1 Save what you need.', notice);
  }
  const at = new Date(1000 * ends_at).toLocaleTimeString(undefined, {
    hour: 'numeric',
    minute: '2-digit'
  });
  const ends = trans.__(
    'This %1 ends at %2, in %3. Save what you need.',
    noun,
    at,
    formatDuration(wholeMinutes(ends_at - now))
  );
  return [notice, ends].filter(Boolean).join(' ');
}

/** A remaining time in whole minutes, below one minute in seconds. */
function wholeMinutes(seconds: number): number {
  return seconds < 60
    ? Math.max(Math.ceil(seconds), 0)
    : 60 * Math.floor(seconds / 60);
}

/**
 * Why a notebook's kernel is not available here, though its target may be
 * connected.
 */
export type Gone = 'taken' | 'ended' | 'away';

/** The state that a notebook shows when its kernel is not available. */
export function goneWords(gone: Gone, trans: TranslationBundle): IStateWords {
  if (gone === 'away') {
    return { tone: 'stopped', label: trans.__('server away'), detail: '' };
  }
  return {
    tone: 'warning',
    label:
      gone === 'taken' ? trans.__('taken over') : trans.__('kernel has ended'),
    detail: ''
  };
}

function retryWords(
  target: ILink,
  now: number,
  trans: TranslationBundle
): string {
  const left = target.retry_at === null ? 0 : Math.ceil(target.retry_at - now);
  const next =
    left > 0
      ? trans.__('Reconnecting in %1 s.', left)
      : trans.__('Reconnecting now.');
  return trans.__('Its kernels keep running. %1', next);
}

/** Whether a target is connected or connecting. */
export function isConnected({ state }: Pick<ITarget, 'state'>): boolean {
  return state === 'up';
}

/** A round-trip time, `23 ms`; empty where it is not known. */
export function formatRoundTrip(seconds: number | null): string {
  if (seconds === null) {
    return '';
  }
  const ms = seconds * 1000;
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`;
}
