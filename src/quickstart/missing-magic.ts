import { Notification } from '@jupyterlab/apputils';
import type { Cell } from '@jupyterlab/cells';
import type { IOutput } from '@jupyterlab/nbformat';
import type { Notebook } from '@jupyterlab/notebook';
import { NotebookActions } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';

import { LOAD_EXTENSION } from '../core/notebook';

const NOT_FOUND =
  /UsageError: (?:Line magic function|Cell magic) `(%%?(?:track|profile|sweep|genops))` not found/;

/** The GenOps magic that IPython did not find, from a cell's outputs; undefined for none. */
export function missingMagic(outputs: readonly IOutput[]): string | undefined {
  for (const { output_type: type, text } of outputs) {
    const found =
      type === 'stream' && NOT_FOUND.exec([text].flat().join('') ?? '');
    if (found) {
      return found[1];
    }
  }
  return undefined;
}

/** When a cell fails because the magics are not loaded, show the line that loads them. */
export function watchMissingMagics(trans: TranslationBundle): void {
  let shown = '';
  NotebookActions.executed.connect((_, { notebook, cell, success }) => {
    if (success && cell.model.sharedModel.source.includes(LOAD_EXTENSION)) {
      Notification.dismiss(shown);
      return;
    }
    const outputs = (
      cell.model as Partial<{ outputs: { toJSON(): IOutput[] } }>
    ).outputs?.toJSON();
    const magic = missingMagic(outputs ?? []);
    if (!magic) {
      return;
    }
    Notification.dismiss(shown);
    shown = Notification.warning(
      trans.__(
        '%1 is not loaded in this notebook. Run %2 first.',
        magic,
        LOAD_EXTENSION
      ),
      {
        autoClose: false,
        actions: [
          {
            label: trans.__('Insert this line above'),
            caption: trans.__('Insert %1 into the notebook', LOAD_EXTENSION),
            displayType: 'accent',
            callback: () => insertAbove(notebook, cell)
          }
        ]
      }
    );
  });
}

function insertAbove(notebook: Notebook, cell: Cell): void {
  const index = notebook.widgets.indexOf(cell);
  if (!notebook.isDisposed && notebook.model && index !== -1) {
    notebook.model.sharedModel.insertCell(index, {
      cell_type: 'code',
      source: LOAD_EXTENSION
    });
    notebook.activeCellIndex = index;
  }
}
