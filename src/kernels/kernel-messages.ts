/** Format the metrics of kernels for the panel and the status bar. */
import type { TranslationBundle } from '@jupyterlab/translation';

import type { Tone } from '../core';
import { formatBytes, formatPercent } from '../core';

import type { IKernelUse } from './service';

/** The server's names for its own machine. */
const HERE = new Set(['', 'local', 'this machine']);

/** Whether a kernel runs on the machine of the server. */
export function isHere({ target }: Pick<IKernelUse, 'target'>): boolean {
  return HERE.has(target);
}

/** The name of a kernel's target, and the preset that the kernel has there. */
export function targetName(
  kernel: IKernelUse,
  trans: TranslationBundle
): string {
  if (isHere(kernel)) {
    return trans.__('this machine');
  }
  return kernel.preset ? `${kernel.target}: ${kernel.preset}` : kernel.target;
}

/** What a kernel uses, one phrase per metric; unknown metrics are left out. */
export function usage(kernel: IKernelUse, trans: TranslationBundle): string[] {
  const words: string[] = [];
  if (typeof kernel.cpu_percent === 'number') {
    words.push(trans.__('CPU %1', formatPercent(kernel.cpu_percent)));
  }
  if (typeof kernel.memory_bytes === 'number') {
    words.push(formatBytes(kernel.memory_bytes));
  }
  if (kernel.gpu_memory_bytes) {
    words.push(trans.__('GPU %1', formatBytes(kernel.gpu_memory_bytes)));
  }
  return words;
}

/** The state of a kernel in one word, with its tone. */
export function stateWord(
  state: string,
  trans: TranslationBundle
): { tone: Tone; label: string } {
  switch (state) {
    case 'busy':
      return { tone: 'busy', label: trans.__('busy') };
    case 'idle':
      return { tone: 'idle', label: trans.__('idle') };
    case 'starting':
    case 'restarting':
    case 'autorestarting':
      return { tone: 'busy', label: trans.__('starting') };
    case 'dead':
    case 'terminating':
      return { tone: 'error', label: trans.__('ended') };
    default:
      return { tone: 'idle', label: state || trans.__('unknown') };
  }
}
