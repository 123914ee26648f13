/** What a kernel's figures are called, in the panel and in the status bar. */
import type { TranslationBundle } from '@jupyterlab/translation';

import type { Tone } from '../core';
import { formatBytes, formatPercent } from '../core';

import type { IKernelUse } from './service';

/** Names by which the server calls the machine that it runs on. */
const HERE = new Set(['', 'local', 'this machine']);

/** Whether a kernel runs on the machine of the server. */
export function isHere({ target }: Pick<IKernelUse, 'target'>): boolean {
  return HERE.has(target);
}

/** Where a kernel runs, for people. */
export function targetName(
  kernel: IKernelUse,
  trans: TranslationBundle
): string {
  return isHere(kernel) ? trans.__('this machine') : kernel.target;
}

/** What it uses, a phrase a figure; what is not known is left out. */
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

/** The state of a kernel in a word, and what it means for the person. */
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
