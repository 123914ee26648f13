/**
 * Groups and directions by the names of metrics.
 *
 * The widgets use this module, so it imports nothing from JupyterLab.
 */

/** The chart of a metric: `val_loss`, `train/loss` and `loss` share the chart `loss`. */
export function groupOf(metric: string): string {
  return (
    metric
      .replace(/^(train|training|val|valid|validation|test|eval)[_/.-]/i, '')
      .replace(/[_/.-](train|training|val|valid|validation|test|eval)$/i, '') ||
    metric
  );
}

const SCORE = '([_ -]?score)?$';
const LOWER = new RegExp(
  `(^|[_/. -])(loss|error|mse|rmse|mae|mape|perplexity|nll|wer|cer|brier)${SCORE}`,
  'i'
);
const HIGHER = new RegExp(
  `(^|[_/. -])(acc|accuracy|auc|auroc|auprc|f1|precision|recall|r2|bleu|rouge|iou|dice|reward)${SCORE}`,
  'i'
);

/** Whether the highest (`max`) or lowest (`min`) value is the best, by the metric's name; undefined if unknown. */
export function bestByName(metric: string): 'min' | 'max' | undefined {
  const name = groupOf(metric);
  return LOWER.test(name) ? 'min' : HIGHER.test(name) ? 'max' : undefined;
}
