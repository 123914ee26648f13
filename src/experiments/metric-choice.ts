/** Chooses the metrics that a list has room for. */
import { groupOf } from '../core/metric-names';

import type { IRun } from './service';

/** Metrics that users look at first; earlier is better. */
const TELLING = [
  /acc(uracy)?$/i,
  /loss$/i,
  /f1|auc|auroc/i,
  /rmse|mse|mae|r2/i,
  /precision|recall|bleu|rouge|perplexity|reward|score/i
];

const HELD_OUT = /(^|[_/.-])(val|valid|validation|test|eval)([_/.-]|$)/i;

/**
 * Return at most `most` metrics to show beside each run of a list. Metrics of
 * most runs come first, then well-known names, then held-out data before
 * training data.
 */
export function chooseMetrics(runs: readonly IRun[], most = 2): string[] {
  const counts = new Map<string, number>();
  for (const run of runs) {
    for (const key of Object.keys(run.metrics)) {
      if (!key.startsWith('system/')) {
        counts.set(key, (counts.get(key) ?? 0) + 1);
      }
    }
  }
  const keys = [...counts.keys()].sort(
    (a, b) =>
      rank(a) - rank(b) || counts.get(b)! - counts.get(a)! || a.localeCompare(b)
  );
  const chosen: string[] = [];
  const groups = new Set<string>();
  for (const key of keys) {
    // One of each group: val_loss alone says more than val_loss and loss.
    if (chosen.length < most && !groups.has(groupOf(key))) {
      groups.add(groupOf(key));
      chosen.push(key);
    }
  }
  return chosen;
}

/**
 * Group metrics by their chart, in the order of their names; well-known charts
 * first.
 */
export function chartGroups(keys: readonly string[]): [string, string[]][] {
  const groups = new Map<string, string[]>();
  for (const key of [...keys].sort((a, b) => a.localeCompare(b))) {
    const group = groupOf(key);
    groups.set(group, [...(groups.get(group) ?? []), key]);
  }
  return [...groups].sort(
    ([a], [b]) => rank(a) - rank(b) || a.localeCompare(b)
  );
}

/** Return the rank of a metric's name; less is better. */
export function rank(key: string): number {
  const index = TELLING.findIndex(pattern => pattern.test(key));
  const telling = index === -1 ? TELLING.length : index;
  return telling * 2 + (HELD_OUT.test(key) ? 0 : 1);
}
