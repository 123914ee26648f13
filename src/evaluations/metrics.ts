import type { TranslationBundle } from '@jupyterlab/translation';

import type { Tone } from '../core';

import type {
  IJudgedMetric,
  IMetricDifference,
  IMetricEstimate
} from './service';

export const TONES: Record<IMetricDifference['verdict'], Tone> = {
  better: 'ok',
  worse: 'error',
  'within chance': 'idle'
};

/** The name of a metric for a heading. */
export function metricName(metric: string, trans: TranslationBundle): string {
  switch (metric) {
    case 'accuracy':
      return trans.__('Accuracy');
    case 'auc':
      return trans.__('AUC');
    case 'log_loss':
      return trans.__('Log loss');
    case 'brier':
      return trans.__('Brier score');
    case 'mae':
      return trans.__('Mean absolute error');
    case 'rmse':
      return trans.__('Root mean square error');
    case 'latency_s':
      return trans.__('Latency of a row');
    default:
      return metric;
  }
}

/** A value with its 95 % interval: `0.937 (0.913 to 0.961)`. */
export function describeEstimate(
  { metric }: Pick<IJudgedMetric, 'metric'>,
  { value, low, high }: Pick<IMetricEstimate, 'value' | 'low' | 'high'>,
  trans: TranslationBundle,
  signed = false
): string {
  if (value === null) {
    return trans.__('unknown');
  }
  const written = format(metric, value, signed, trans);
  return low === null || high === null
    ? written
    : trans.__(
        '%1 (%2 to %3)',
        written,
        format(metric, low, signed, trans),
        format(metric, high, signed, trans)
      );
}

/** The verdict with what would show the difference. */
export function describeVerdict(
  { verdict, more }: Pick<IMetricDifference, 'verdict' | 'more'>,
  trans: TranslationBundle
): string {
  switch (verdict) {
    case 'better':
      return trans.__('better');
    case 'worse':
      return trans.__('worse');
    default:
      return more === null
        ? trans.__('within chance')
        : trans._n(
            'within chance; %1 more row would show it',
            'within chance; %1 more rows would show it',
            more
          );
  }
}

function format(
  metric: string,
  value: number,
  signed: boolean,
  trans: TranslationBundle
): string {
  const milliseconds = metric === 'latency_s';
  const digits = Number((milliseconds ? 1000 * value : value).toPrecision(3));
  const sign = signed && digits > 0 ? '+' : '';
  return milliseconds
    ? trans.__('%1 ms', `${sign}${digits}`)
    : `${sign}${digits}`;
}
