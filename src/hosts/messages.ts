/**
 * Format the states and readings of targets for the panel, the toolbar and the
 * picker.
 */
import type { TranslationBundle } from '@jupyterlab/translation';

import type { Tone } from '../core';
import { formatBytes, formatDuration } from '../core';
import { formatMoney } from '../core/money';

import { isConnected } from './link-messages';
import type {
  IFormField,
  IHostGpu,
  IPreset,
  ITarget,
  ITargetHost
} from './service';

export * from './link-messages';

/**
 * Texts that a kind of target declares: the server sends them in English, and a
 * language pack may translate them.
 */
export function declaredWords(text: string, trans: TranslationBundle): string {
  // eslint-disable-next-line jupyter/no-dynamic-translation
  return text && trans.__(text);
}

/**
 * The limits of a field that the administrator of this Lab set; empty without
 * limits.
 */
export function administeredWords(
  field: IFormField,
  trans: TranslationBundle
): string {
  const { locked, administered, minimum, maximum } = field;
  if (locked) {
    return trans.__('The administrator of this Lab set this value.');
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
          ? trans.__('The administrator allows %1 or more.', low)
          : trans.__('The administrator allows up to %1.', high)
    );
  }
  if (administered.includes('choices')) {
    words.push(trans.__('The administrator allows only these.'));
  }
  return words.join(' ');
}

/** A price an hour, `2.1 USD/h`; empty without one. Prices are in USD. */
export function formatPrice(
  perHour: number | null,
  trans: TranslationBundle
): string {
  if (perHour === null) {
    return '';
  }
  return trans.__('%1/h', formatMoney(perHour, 'USD', 'given'));
}

/** The cost of `seconds` at a price in USD an hour, such as `0.42 USD`. */
export function costSoFar(perHour: number, seconds: number): string {
  return formatMoney((perHour * seconds) / 3600);
}

/**
 * The hours that ends of idle kernels saved this month, and their price; empty
 * without any.
 */
export function savedWords(
  { saved }: Pick<ITarget, 'saved'>,
  trans: TranslationBundle
): string {
  if (!saved) {
    return '';
  }
  const hours = saved.hours.toFixed(1);
  return saved.usd === null
    ? trans.__('%1 h saved this month', hours)
    : trans.__('%1 h (%2) saved this month', hours, costSoFar(saved.usd, 3600));
}

/** The price of a kernel on a target: that of its preset, or the target's. */
export function priceOf(
  target: Pick<ITarget, 'price_per_hour' | 'presets'>,
  kernelName: string
): number | null {
  const preset = target.presets.find(
    ({ kernel_name }) => kernel_name === kernelName
  );
  return preset?.price_per_hour ?? target.price_per_hour;
}

/** A preset with its own price, and whose it is. */
export function presetWords(
  { name, price_per_hour: price, locked }: IPreset,
  trans: TranslationBundle
): string {
  const words = price === null ? name : `${name}, ${formatPrice(price, trans)}`;
  return locked ? trans.__('%1 (by your administrator)', words) : words;
}

/** The title of a target: this machine has no name of its own. */
export function targetTitle(
  target: Pick<ITarget, 'name' | 'is_this_machine'>,
  trans: TranslationBundle
): string {
  return target.is_this_machine ? trans.__('This machine') : target.name;
}

/** Free memory of a GPU in bytes; null where its driver does not report it. */
export function freeBytes(
  gpu: Pick<IHostGpu, 'memory_total_bytes' | 'memory_used_bytes'>
): number | null {
  const { memory_total_bytes: total, memory_used_bytes: used } = gpu;
  return typeof total === 'number' && typeof used === 'number'
    ? Math.max(0, total - used)
    : null;
}

/** What is lost with a kernel that ended, unless its reason says so itself. */
export function lossWords(reason: string, trans: TranslationBundle): string {
  return reason.includes('variables are lost')
    ? trans.__('Outputs in the notebook stay.')
    : trans.__('Its variables are lost. Outputs in the notebook stay.');
}

/** The noun for one of a target's hosts: a pod, a job. */
export function hostNoun(target: ITarget, trans: TranslationBundle): string {
  return declaredWords(target.host_noun, trans);
}

/** What happens to a host that no kernel needs; `now` in seconds since 1970. */
export function leftOverWords(
  host: ITargetHost,
  now: number,
  trans: TranslationBundle
): string {
  return host.release_at === null
    ? trans.__(
        'No kernel of this machine needs it. Another machine of yours may have requested it.'
      )
    : trans.__(
        'No kernel needs it. It stops in %1.',
        formatDuration(Math.max(host.release_at - now, 0))
      );
}

/** The age of a reading that is no longer live; empty for a live one. */
export function staleWords(
  target: Pick<ITarget, 'state' | 'reading' | 'reading_age_s'>,
  trans: TranslationBundle
): string {
  const { reading, reading_age_s: age } = target;
  return reading && age !== null && (age > STALE_S || !isConnected(target))
    ? trans.__('Readings are %1 old', formatDuration(age))
    : '';
}

/** Seconds after which a reading counts as old. */
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
  // No kernel can use the whole of a GPU that is cut into slices.
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

/** The state of a kernel in one word, with its tone. */
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
      label: trans.__('stops in %1', formatDuration(left))
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

/** A number of minutes as text. */
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

/**
 * How many kernels are ready, and why there are fewer; empty where none is
 * wanted.
 */
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
  if (target.allocates && !warm_message) {
    const most = minutesWords(policy.warm_minutes, trans);
    const price = target.price_per_hour;
    return price === null
      ? trans.__('%1, for %2 at most', words, most)
      : trans.__(
          '%1, for %2 at most (%3 an hour each)',
          words,
          most,
          formatMoney(price, 'USD', 'given')
        );
  }
  return warm_message ? `${words}: ${warm_message}` : words;
}

/**
 * A name from a host on one line, without characters that break the line or
 * change its direction.
 */
export function onOneLine(path: string): string {
  return path.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\ufffd');
}
