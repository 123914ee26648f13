import type { TranslationBundle } from '@jupyterlab/translation';

import { formatNumber } from '../../../core/format';
import type {
  IComparedRow,
  IEstimate,
  IMetricCell,
  IRunComparison
} from '../service';

/** A column's letter: A, B, ... Z, AA, ... */
export function letter(column: number): string {
  const own = String.fromCharCode(65 + (column % 26));
  return column < 26 ? own : letter(Math.floor(column / 26) - 1) + own;
}

/** A column's name for a person, with the run's id where another has that name. */
export function columnName(
  { columns }: IRunComparison,
  column: number
): string {
  const { name, run_ids } = columns[column];
  const id = run_ids[0].slice(0, 8);
  const isAlone = columns.filter(other => other.name === name).length === 1;
  return name && isAlone ? name : `${name} ${id}`.trim();
}

/** The distinct values of a column; a dash for a run that has none. */
export function valuesText(values: IComparedRow['columns'][number]): string {
  return values.map(value => value ?? '–').join(', ');
}

/** A mean with its interval, as precise as the interval lets it be. */
export function estimateText({ mean, margin }: IEstimate): string {
  if (typeof mean !== 'number') {
    return '–';
  }
  if (typeof margin !== 'number') {
    return formatNumber(mean);
  }
  return `${rounded(mean, margin)} ± ${rounded(margin, margin)}`;
}

/** What of a metric's values is in no mean. */
export function exceptions(
  cell: IMetricCell,
  trans: TranslationBundle
): string {
  const single = cell.values.length === 1;
  const told: [number, string][] = [
    [cell.nan ?? 0, 'NaN'],
    [cell.infinite ?? 0, trans.__('infinite')],
    [cell.missing ?? 0, trans.__('missing')]
  ];
  return told
    .filter(([count]) => count)
    .map(([count, word]) => (single ? word : `${count} ${word}`))
    .join(', ');
}

/** The difference to the baseline with its interval; empty where there is none. */
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

/** Two digits of the spread. */
function rounded(value: number, spread: number): string {
  const digits = 1 - Math.floor(Math.log10(spread));
  return digits < 0 || digits > 8 ? formatNumber(value) : value.toFixed(digits);
}

/** What a fact of a run is called. */
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
