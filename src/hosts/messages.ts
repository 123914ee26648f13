/** What states and readings of targets are called, in the panel, the toolbar and the picker. */
import type { TranslationBundle } from '@jupyterlab/translation';

import type { Tone } from '../core';
import { formatBytes, formatDuration } from '../core';

import type {
  IFormField,
  IHostGpu,
  IPendingKernel,
  ITarget,
  ITargetHost
} from './service';

/** What is known of a connection: to a target, or to one of its hosts. */
export type ILink = Pick<
  ITarget,
  'state' | 'since' | 'message' | 'hint' | 'retry_at'
>;

/** A state in a word, what it means for the person, and a sentence where there is more to say. */
export interface IStateWords {
  readonly tone: Tone;
  readonly label: string;
  /** A sentence; empty where the word says it all. */
  readonly detail: string;
}

/** Words that a kind of target declares: they come from the server, in English, and a language pack may have them. */
export function declaredWords(text: string, trans: TranslationBundle): string {
  // eslint-disable-next-line jupyter/no-dynamic-translation
  return text && trans.__(text);
}

/** What of a field the administrator of this Lab chose; empty for nothing. */
export function administeredWords(
  field: IFormField,
  trans: TranslationBundle
): string {
  const { locked, administered, minimum, maximum } = field;
  if (locked) {
    return trans.__('The administrator of this Lab chose it.');
  }
  const words = administered.includes('default')
    ? [trans.__('The administrator’s default.')]
    : [];
  if (administered.includes('minimum') || administered.includes('maximum')) {
    const [low, high] = [minimum ?? '', maximum ?? ''].map(String);
    words.push(
      low !== '' && high !== ''
        ? trans.__('The administrator allows %1 to %2.', low, high)
        : low !== ''
          ? trans.__('The administrator allows %1 and more.', low)
          : trans.__('The administrator allows up to %1.', high)
    );
  }
  if (administered.includes('choices')) {
    words.push(trans.__('The administrator allows these.'));
  }
  return words.join(' ');
}

/**
 * A link's state for people. A link that was lost is "disconnected": its kernels go on,
 * and nothing of theirs is dead. `now` in seconds since 1970.
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
        label: trans.__('waits for a host'),
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
        detail: trans.__('It asked something that only you can answer.')
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

/** What a kernel that waits for its host waits for, and for how long. `now` in seconds since 1970. */
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
      ? trans.__('waits for a host, %1', waited)
      : trans.__('waits for a host'),
    detail: reason
  };
}

/** Why a notebook's kernel is not to be had here, though its target may be connected. */
export type Gone = 'taken' | 'ended' | 'away';

/** What a notebook says in place of its link's state when its kernel is gone. */
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
      ? trans.__('Trying again in %1 s.', left)
      : trans.__('Trying again now.');
  return trans.__('Its kernels go on running. %1', next);
}

/** Whether something is done about the connection now, or it stands. */
export function isConnected({ state }: Pick<ITarget, 'state'>): boolean {
  return state === 'up';
}

/** A round trip, `23 ms`; empty where it is not known. */
export function formatRoundTrip(seconds: number | null): string {
  if (seconds === null) {
    return '';
  }
  const ms = seconds * 1000;
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`;
}

/** A price an hour, `$2.10/h`; empty without one. Prices are in USD. */
export function formatPrice(
  perHour: number | null,
  trans: TranslationBundle
): string {
  if (perHour === null) {
    return '';
  }
  const amount = perHour.toLocaleString(undefined, {
    style: 'currency',
    currency: 'USD'
  });
  return trans.__('%1/h', amount);
}

/** What `seconds` at a price in USD an hour cost, `$0.42`. */
export function costSoFar(perHour: number, seconds: number): string {
  return ((perHour * seconds) / 3600).toLocaleString(undefined, {
    style: 'currency',
    currency: 'USD'
  });
}

/** What a target is called: this machine has no name of its own. */
export function targetTitle(
  target: Pick<ITarget, 'name' | 'is_this_machine'>,
  trans: TranslationBundle
): string {
  return target.is_this_machine ? trans.__('This machine') : target.name;
}

/** Memory that is free on a GPU in bytes; null where its driver does not tell. */
export function freeBytes(
  gpu: Pick<IHostGpu, 'memory_total_bytes' | 'memory_used_bytes'>
): number | null {
  const { memory_total_bytes: total, memory_used_bytes: used } = gpu;
  return typeof total === 'number' && typeof used === 'number'
    ? Math.max(0, total - used)
    : null;
}

/** One host of many in a word: a pod, a job. */
export function hostNoun(target: ITarget, trans: TranslationBundle): string {
  return declaredWords(target.host_noun, trans);
}

/** What becomes of a host that no kernel needs; `now` in seconds since 1970. */
export function leftOverWords(
  host: ITargetHost,
  now: number,
  trans: TranslationBundle
): string {
  return host.release_at === null
    ? trans.__(
        'No kernel of this machine needs it. Another machine of yours may have asked for it.'
      )
    : trans.__(
        'No kernel needs it. It is given back in %1.',
        formatDuration(Math.max(host.release_at - now, 0))
      );
}

/** The age of a reading that is not live any more; empty while it is. */
export function staleWords(
  target: Pick<ITarget, 'state' | 'reading' | 'reading_age_s'>,
  trans: TranslationBundle
): string {
  const { reading, reading_age_s: age } = target;
  return reading && age !== null && (age > STALE_S || !isConnected(target))
    ? trans.__('Figures are %1 old', formatDuration(age))
    : '';
}

/** From when on a reading is called old, in seconds. */
const STALE_S = 5;

/** The GPUs of a target in a phrase: `2 × NVIDIA H100, 61.2 GiB free`. */
export function gpuSummary(target: ITarget, trans: TranslationBundle): string {
  const { reading } = target;
  if (!reading) {
    return '';
  }
  if (reading.gpu_state === 'error') {
    return trans.__('The GPU driver does not answer');
  }
  const { gpus } = reading;
  if (gpus.length === 0) {
    return trans.__('No GPU');
  }
  const names = new Set(gpus.map(({ name }) => name));
  const name =
    names.size === 1
      ? gpus[0].name
      : trans._n('%1 GPU', '%1 GPUs', gpus.length);
  const head =
    names.size === 1 && gpus.length > 1 ? `${gpus.length} × ${name}` : name;
  // Of a card that is cut into slices no kernel can have the whole.
  const parts = gpus.flatMap<Parameters<typeof freeBytes>[0]>(gpu =>
    gpu.mig.length > 0 ? gpu.mig : [gpu]
  );
  const free = parts.map(freeBytes).filter(each => each !== null);
  if (free.length === 0) {
    return head;
  }
  const most = formatBytes(Math.max(...free));
  return gpus.some(({ mig }) => mig.length > 0)
    ? trans.__('%1, %2 free on a slice', head, most)
    : trans.__('%1, %2 free', head, most);
}

/** Whether a kernel is busy, in a word with its tone. */
export function kernelWords(
  kernel: {
    state: string;
    execution_state: string;
    reason: string;
    idle: { ends_in_s: number | null } | null;
  },
  trans: TranslationBundle
): { tone: Tone; label: string } {
  if (kernel.state === 'ended') {
    return { tone: 'stopped', label: trans.__('ended') };
  }
  const left = kernel.idle?.ends_in_s ?? null;
  if (left !== null) {
    return {
      tone: 'warning',
      label: trans.__('ends in %1', formatDuration(left))
    };
  }
  switch (kernel.execution_state) {
    case 'busy':
      return { tone: 'busy', label: trans.__('busy') };
    case 'starting':
      return { tone: 'busy', label: trans.__('starting') };
    default:
      return { tone: 'idle', label: trans.__('idle') };
  }
}

/** A number of minutes, for people. */
export function minutesWords(
  minutes: number,
  trans: TranslationBundle
): string {
  if (minutes >= 1440 && minutes % 1440 === 0) {
    return trans._n('%1 day', '%1 days', minutes / 1440);
  }
  if (minutes >= 60 && minutes % 60 === 0) {
    return trans._n('%1 hour', '%1 hours', minutes / 60);
  }
  return trans._n('%1 minute', '%1 minutes', minutes);
}

/** How many kernels stand ready, and why not more; empty where none is wanted. */
export function warmWords(target: ITarget, trans: TranslationBundle): string {
  const { policy, warm_ready, warm_message, state } = target;
  if (!policy.warm_kernels) {
    return '';
  }
  const words =
    state !== 'up' || warm_ready === null
      ? trans.__('%1 while connected', policy.warm_kernels)
      : warm_ready >= policy.warm_kernels
        ? trans.__('%1 ready', warm_ready)
        : trans.__('%1 of %2 ready', warm_ready, policy.warm_kernels);
  return warm_message ? `${words}: ${warm_message}` : words;
}

/** A name of a host's choosing, without what would break or turn the line. */
export function onOneLine(path: string): string {
  return path.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\ufffd');
}
