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
