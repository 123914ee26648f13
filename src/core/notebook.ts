/** Insert cells into the user's notebook. */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import { NotebookActions } from '@jupyterlab/notebook';
import { DockPanel } from '@lumino/widgets';

/** The line that loads the magics. */
export const LOAD_EXTENSION = '%load_ext genops_lab';

/**
 * Insert code in new cells below the active one, without running them; the last
 * new cell becomes active. If no notebook is open, a new one is created.
 * {@link LOAD_EXTENSION} is left out if the notebook has it.
 */
export async function insertCells(
  sources: readonly string[],
  options: IInsertOptions
): Promise<NotebookPanel> {
  const panel =
    options.notebooks?.currentWidget ?? (await newNotebook(options.commands));
  await panel.context.ready;
  const { content } = panel;
  const hasLoad = Array.from(content.widgets).some(({ model }) =>
    model.sharedModel.getSource().includes(LOAD_EXTENSION)
  );
  for (const source of sources) {
    if (source === LOAD_EXTENSION && hasLoad) {
      continue;
    }
    const cell = content.activeCell;
    const isBlank =
      cell?.model.type === 'code' && !cell.model.sharedModel.getSource().trim();
    if (!isBlank) {
      NotebookActions.insertBelow(content);
    }
    content.activeCell?.model.sharedModel.setSource(source);
  }
  if (panel.parent instanceof DockPanel) {
    panel.parent.selectWidget(panel); // its tab may be behind another one
  }
  panel.activate();
  // The page that becomes active takes the focus from the editor, in a posted message.
  await new Promise(done => window.setTimeout(done));
  content.mode = 'edit';
  return panel;
}

export interface IInsertOptions {
  notebooks: INotebookTracker | null;
  commands: JupyterFrontEnd['commands'];
}

async function newNotebook(
  commands: JupyterFrontEnd['commands']
): Promise<NotebookPanel> {
  const panel: NotebookPanel = await commands.execute('notebook:create-new');
  return panel;
}
