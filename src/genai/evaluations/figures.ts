import type { TranslationBundle } from '@jupyterlab/translation';

import type { Tone } from '../../core';
import { formatNumber } from '../../core';
import { formatMoney } from '../../core/money';

import type {
  IEstimate,
  IEvaluation,
  IExampleResult,
  IListed
} from './service';

/** The ends of the axis of an interval. */
export type Scale = readonly [low: number, high: number];

/** An axis for scores: 0 to 1 where all lie in it. */
export function scaleOf(estimates: readonly IEstimate[]): Scale {
  const ends = endsOf(estimates);
  if (ends.every(end => end >= 0 && end <= 1)) {
    return [0, 1];
  }
  return [Math.min(0, ...ends), Math.max(0, ...ends)];
}

/** An axis for differences, with 0 in the middle. */
export function differenceScale(estimates: readonly IEstimate[]): Scale {
  const most = Math.max(...endsOf(estimates).map(Math.abs), 0) || 1;
  return [-most, most];
}

function endsOf(estimates: readonly IEstimate[]): number[] {
  return estimates
    .flatMap(({ value, low, high }) => [value, low, high])
    .filter(end => end !== null);
}

/** Where a value lies on an axis, in percent from its begin. */
export function placeOf(value: number, [low, high]: Scale): number {
  return Math.min(Math.max(((value - low) / (high - low)) * 100, 0), 100);
}

/** "0.66 (0.61 to 0.70)". */
export function estimateText(
  { value, low, high }: IEstimate,
  trans: TranslationBundle,
  isDifference = false
): string {
  if (value === null) {
    return trans.__('Not known');
  }
  const sign = isDifference && value > 0 ? '+' : '';
  const shown = `${sign}${short(value)}`;
  return low === null || high === null
    ? shown
    : trans.__('%1 (%2 to %3)', shown, short(low), short(high));
}

/**
 * A score with at most three decimals. A whole number from 1,000 on, such as a
 * length; three digits below 0.001, such as a cost.
 */
export function short(value: number): string {
  if (Math.abs(value) < 0.001) {
    return formatNumber(Number(value.toPrecision(3)));
  }
  const parts = Math.abs(value) < 1000 ? 1000 : 1;
  return formatNumber(Math.round(value * parts) / parts);
}

/** What a model's answers to an example got. */
export function resultText(
  { value, answered, failed }: IExampleResult,
  trans: TranslationBundle
): string {
  if (value !== null) {
    return failed > 0
      ? trans._n('%2, %1 error', '%2, %1 errors', failed, short(value))
      : short(value);
  }
  if (answered > 0) {
    return trans.__('not scored');
  }
  return failed > 0 ? trans.__('error') : trans.__('not asked');
}

/** Calls that failed, and answers that were not asked for yet. */
export function missingOf({ models }: IEvaluation): {
  failed: number;
  unasked: number;
} {
  const failed = models.reduce((sum, each) => sum + each.failed, 0);
  const missing = models.reduce(
    (sum, { wanted, answered }) => sum + wanted - answered,
    0
  );
  return { failed, unasked: missing - failed };
}

/** Whether a scorer stopped before it scored all answers, such as a judge whose key was refused. */
export function isUnfinished({ unfinished }: IEvaluation): boolean {
  return (unfinished ?? []).length > 0;
}

/** The state of an evaluation: its tone and its words. */
export function stateOf(
  { evaluation, task }: IListed,
  trans: TranslationBundle
): { tone: Tone; label: string } {
  if (task) {
    const labels = {
      asking: trans.__('Asking'),
      scoring: trans.__('Scoring'),
      recording: trans.__('Writing into MLflow'),
      done: trans.__('Starting')
    };
    return { tone: 'busy', label: labels[evaluation.stage ?? 'asking'] };
  }
  if (evaluation.stage !== 'done') {
    return { tone: 'stopped', label: trans.__('Stopped before the end') };
  }
  const { failed, unasked } = missingOf(evaluation);
  if (unasked > 0) {
    return {
      tone: 'warning',
      label: trans._n('%1 answer missing', '%1 answers missing', unasked)
    };
  }
  if (failed > 0) {
    return {
      tone: 'warning',
      label: trans._n('%1 call failed', '%1 calls failed', failed)
    };
  }
  return isUnfinished(evaluation)
    ? { tone: 'warning', label: trans.__('Not all answers scored') }
    : { tone: 'ok', label: trans.__('Done') };
}

/** What an evaluation cost, by currency; null if a price is not known. */
export function costOf({
  models
}: Pick<IEvaluation, 'models'>): Map<string, number> | null {
  const found = new Map<string, number>();
  for (const { money, currency = 'USD' } of models) {
    if (money === null || money === undefined) {
      return null;
    }
    found.set(currency, (found.get(currency) ?? 0) + money);
  }
  return found;
}

/** Money with its currency, such as "0.0123 USD". */
export function costText(
  cost: ReadonlyMap<string, number> | null,
  trans: TranslationBundle
): string {
  return cost === null
    ? trans.__('Not known')
    : [...cost]
        .map(([currency, money]) => formatMoney(money, currency))
        .join(' + ');
}

/** Another evaluation, and why it cannot be compared with one; empty: it can. */
export interface ICandidate {
  readonly evaluation: IEvaluation;
  readonly problem: string;
}

/** Return the other evaluations, those that can be compared with one first. */
export function candidatesOf(
  { id, digest, scorers }: IEvaluation,
  listed: readonly IListed[],
  trans: TranslationBundle
): ICandidate[] {
  const problemOf = (other: IEvaluation) =>
    other.digest !== digest
      ? trans.__('other rows')
      : !other.scores?.length
        ? trans.__('not scored yet')
        : other.scorers.some(each => scorers.includes(each))
          ? ''
          : trans.__('no scorer in common');
  return listed
    .filter(({ evaluation }) => evaluation.id !== id)
    .map(({ evaluation }) => ({ evaluation, problem: problemOf(evaluation) }))
    .sort((one, other) => Number(!!one.problem) - Number(!!other.problem));
}

/** The tokens of all models. */
export function tokensOf({ models }: IEvaluation): number {
  return models.reduce(
    (sum, { spent }) => sum + (spent?.input ?? 0) + (spent?.output ?? 0),
    0
  );
}
