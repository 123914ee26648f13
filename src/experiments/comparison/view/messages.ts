import type { TranslationBundle } from '@jupyterlab/translation';

import { formatNumber } from '../../../core/format';
import type {
  IComparedRow,
  IEstimate,
  IMetricCell,
  IRunComparison
} from '../service';

/** Return a column's letter: A, B, ... Z, AA, ... */
export function letter(column: number): string {
  const own = String.fromCharCode(65 + (column % 26));
  return column < 26 ? own : letter(Math.floor(column / 26) - 1) + own;
}

/**
 * Return a column's name, with the run's id if another column has that name.
 */
export function columnName(
  { columns }: IRunComparison,
  column: number
): string {
  const { name, run_ids } = columns[column];
  const id = run_ids[0].slice(0, 8);
  const isAlone = columns.filter(other => other.name === name).length === 1;
  return name && isAlone ? name : `${name} ${id}`.trim();
}

/** Return the distinct values of a column; a dash for a run without one. */
export function valuesText(values: IComparedRow['columns'][number]): string {
  return values.map(value => value ?? '–').join(', ');
}

/** Return a mean with its interval, rounded to the interval's precision. */
export function estimateText({ mean, margin }: IEstimate): string {
  if (typeof mean !== 'number') {
    return '–';
  }
  if (typeof margin !== 'number') {
    return formatNumber(mean);
  }
  return `${rounded(mean, margin)} ± ${rounded(margin, margin)}`;
}

/**
 * Return how many of a metric's values are infinite or missing, so not in the
 * mean.
 */
export function exceptions(
  cell: IMetricCell,
  trans: TranslationBundle
): string {
  const single = cell.values.length === 1;
  const counts: [number, string][] = [
    [cell.nan ?? 0, 'NaN'],
    [cell.infinite ?? 0, trans.__('infinite')],
    [cell.missing ?? 0, trans.__('missing')]
  ];
  return counts
    .filter(([count]) => count)
    .map(([count, word]) => (single ? word : `${count} ${word}`))
    .join(', ');
}

/**
 * Return the difference to the baseline with its interval; empty without one.
 */
export function differenceText(cell: IMetricCell): string {
  const { difference, low, high } = cell;
  if (typeof difference !== 'number') {
    return '';
  }
  const sign = difference > 0 ? '+' : '';
  if (typeof low !== 'number' || typeof high !== 'number') {
    return difference === 0 ? '' : sign + formatNumber(difference);
  }
  const spread = (high - low) / 2;
  return `${sign}${rounded(difference, spread)} [${rounded(low, spread)}, ${rounded(high, spread)}]`;
}

/** Round to two digits of the spread. */
function rounded(value: number, spread: number): string {
  const digits = 1 - Math.floor(Math.log10(spread));
  return digits < 0 || digits > 8 ? formatNumber(value) : value.toFixed(digits);
}

/** Return the label of a fact of a run. */
export function factName(name: string, trans: TranslationBundle): string {
  const names: Record<string, string> = {
    experiment: trans.__('Experiment'),
    status: trans.__('Status'),
    user: trans.__('User'),
    source: trans.__('Source'),
    target: trans.__('Target'),
    commit: trans.__('Commit'),
    branch: trans.__('Branch'),
    host: trans.__('Host'),
    platform: trans.__('Platform'),
    gpus: trans.__('GPUs'),
    driver: trans.__('GPU driver'),
    python: trans.__('Python'),
    lock: trans.__('Lock file')
  };
  return names[name] ?? name;
}
