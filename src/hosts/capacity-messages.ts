import type { TranslationBundle } from '@jupyterlab/translation';

import { formatDuration } from '../core';

import type { ICapacity, ITarget } from './service';

/** Seconds after which the age of an answer is told. */
const OLD_S = 60;

/**
 * The free GPUs of a cluster, by kind, and how many wait there. What is not
 * known is said, and never 0. Empty until somebody asked.
 */
export function capacityWords(
  target: Pick<ITarget, 'capacity' | 'capacity_age_s'>,
  trans: TranslationBundle
): string {
  const { capacity, capacity_age_s: age } = target;
  if (!capacity) {
    return '';
  }
  return [
    freeWords(capacity, trans),
    waitingWords(capacity, trans),
    capacity.note,
    age !== null && age > OLD_S
      ? trans.__('read %1 ago', formatDuration(age))
      : ''
  ]
    .filter(Boolean)
    .join(' · ');
}

/** Whether an answer is missing, or so old that somebody may ask again. */
export function mayAsk({
  capacity,
  capacity_age_s: age
}: Pick<ITarget, 'capacity' | 'capacity_age_s'>): boolean {
  return !capacity?.gpus || age === null || age > OLD_S;
}

function freeWords({ gpus }: ICapacity, trans: TranslationBundle): string {
  if (!gpus) {
    return trans.__('Free GPUs: not known');
  }
  if (gpus.length === 0) {
    return trans.__('No GPU');
  }
  return gpus
    .map(({ kind, free, total }) => {
      const name = kind || trans.__('GPUs');
      if (free === null) {
        return trans.__('%1: free ones not known', name);
      }
      return total === null
        ? trans.__('%1 %2 free', free, name)
        : trans.__('%1 of %2 %3 free', free, total, name);
    })
    .join(', ');
}

function waitingWords(
  { gpus, waiting }: ICapacity,
  trans: TranslationBundle
): string {
  if (waiting === null) {
    return gpus ? trans.__('queue not known') : '';
  }
  return waiting === 0
    ? trans.__('nobody waits')
    : trans._n('%1 waits', '%1 wait', waiting);
}
