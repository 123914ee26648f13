import type { ISharedNotebook } from '@jupyter/ydoc';
import type { IOutput } from '@jupyterlab/nbformat';
import type { TranslationBundle } from '@jupyterlab/translation';

import type { IExecution } from './service';

/** The metadata key with which a recovered cell names its execution. */
const METADATA_KEY = 'genops';

/** The code that ran, and its outputs. */
export type IRecovered = Pick<
  IExecution,
  'msg_id' | 'code' | 'execution_count'
> & { readonly outputs: IExecution['outputs'] | IOutput[] };

/**
 * Append outputs whose cell was edited or deleted to the notebook, under one
 * heading.
 *
 * A code cell with the source that ran has them. An existing cell stays as it
 * is; of two (from two pages of one document) the second is removed. Returns
 * whether a cell was added.
 */
export function appendRecovered(
  notebook: ISharedNotebook,
  executions: readonly IRecovered[],
  trans: TranslationBundle
): boolean {
  const ids = notebook.cells.map(cell => recoveredIn(cell.getMetadata()));
  for (let index = ids.length - 1; index >= 0; index--) {
    if (ids[index] && ids.indexOf(ids[index]) < index) {
      notebook.deleteCell(index);
    }
  }
  const present = new Set(ids);
  const missing = executions.filter(({ msg_id }) => !present.has(msg_id));
  if (missing.length === 0) {
    return false;
  }
  notebook.transact(() => {
    if (!present.has('heading')) {
      notebook.addCell({
        cell_type: 'markdown',
        metadata: { [METADATA_KEY]: { recovered: 'heading' } },
        source: [
          `## ${trans.__('Recovered outputs')}`,
          '',
          trans.__(
            'These cells were edited or deleted while they ran. Below is the code that ran, with its outputs. Delete what you do not need.'
          )
        ].join('\n')
      });
    }
    for (const { msg_id, code, outputs, execution_count } of missing) {
      notebook.addCell({
        cell_type: 'code',
        metadata: { [METADATA_KEY]: { recovered: msg_id } },
        source: code,
        outputs: outputs as IOutput[],
        execution_count
      });
    }
  });
  return true;
}

/** Return the execution that a cell's metadata names; empty without one. */
export function recoveredIn(metadata: object): string {
  const own = (metadata as { [METADATA_KEY]?: { recovered?: string } })[
    METADATA_KEY
  ];
  return own?.recovered ?? '';
}
