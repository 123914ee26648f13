/**
 * What the names of metrics tell.
 *
 * No import from JupyterLab, so that the widgets can use it.
 */

/** `val_loss`, `train/loss` and `loss` belong into one chart: `loss`. */
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

/** Whether its highest (`max`) or its lowest value (`min`) is the best; undefined where the name does not tell. */
export function bestByName(metric: string): 'min' | 'max' | undefined {
  const name = groupOf(metric);
  return LOWER.test(name) ? 'min' : HIGHER.test(name) ? 'max' : undefined;
}
