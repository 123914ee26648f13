/** What a run's figures are called. */
import type { TranslationBundle } from '@jupyterlab/translation';

import type { Tone } from '../../core';
import { formatNumber } from '../../core/format';
import type { IRun } from '../service';

/** A run's status in a word, and what it means for the person. */
export function statusWord(
  status: IRun['status'],
  trans: TranslationBundle
): { tone: Tone; label: string } {
  switch (status) {
    case 'RUNNING':
      return { tone: 'busy', label: trans.__('running') };
    case 'SCHEDULED':
      return { tone: 'idle', label: trans.__('scheduled') };
    case 'FINISHED':
      return { tone: 'ok', label: trans.__('finished') };
    case 'FAILED':
      return { tone: 'error', label: trans.__('failed') };
    case 'KILLED':
      return { tone: 'stopped', label: trans.__('stopped') };
  }
}

/** A metric's value; one that is no finite number is a dash. */
export function metricText(value: number | null | undefined): string {
  return typeof value === 'number' ? formatNumber(value) : '–';
}

/** A run's name, or its id where it has none. */
export function runName(run: IRun): string {
  return run.name || run.run_id.slice(0, 8);
}
