import type { INotebookTracker } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';

import { LOAD_EXTENSION, insertCells } from '../core/notebook';

/** Insert a cell that profiles a training loop, below the active cell. */
export async function insertProfileCell(
  commands: CommandRegistry,
  notebooks: INotebookTracker | null,
  trans: TranslationBundle
): Promise<void> {
  const starter = [
    '%%profile',
    trans.__('# Run a few training steps here: 5 to 20 are enough.')
  ].join('\n');
  await insertCells([LOAD_EXTENSION, starter], { commands, notebooks });
}
