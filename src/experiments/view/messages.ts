/** Formats a run's status, metrics and name. */
import type { TranslationBundle } from '@jupyterlab/translation';

import type { Tone } from '../../core';
import { formatNumber } from '../../core/format';
import type { IRun } from '../service';

/** Return a run's status as a word, and its tone. */
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

/** Return a metric's value; a dash if it is not finite. */
export function metricText(value: number | null | undefined): string {
  return typeof value === 'number' ? formatNumber(value) : '–';
}

/** Return a run's name, or its id if it has none. */
export function runName(run: IRun): string {
  return run.name || run.run_id.slice(0, 8);
}
