import type { TranslationBundle } from '@jupyterlab/translation';

import type { IModelVersion } from './service';

/** Where a version comes from, as a sentence; empty for the model of a run that nobody chose among others. */
export function describeOrigin(
  origin: IModelVersion['origin'],
  trans: TranslationBundle
): string {
  if (!origin || origin.kind === 'run') {
    return '';
  }
  const by = origin.chosen_by;
  if (by) {
    const judged = by.data
      ? trans.__('%1 on %2', by.metric, by.data)
      : by.metric;
    return by.runs > 1
      ? trans.__(
          'Best of %1 runs by %2: the best of many is partly luck.',
          by.runs,
          judged
        )
      : trans.__('The only run with %1.', judged);
  }
  if (origin.kind === 'path') {
    return trans.__('Files from %1.', origin.uri);
  }
  if (origin.revision) {
    return trans.__(
      'Copied from %1 at commit %2.',
      origin.uri,
      origin.revision.slice(0, 12)
    );
  }
  return origin.mlflow
    ? trans.__('Copied from %1 of %2.', origin.uri, origin.mlflow)
    : trans.__('Copied from %1.', origin.uri);
}
