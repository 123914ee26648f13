/** Opens the page of traces; loaded with it. */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { NotebookPanel } from '@jupyterlab/notebook';

import type { IGenOpsCore } from '../../core';
import { executor, tellFailure } from '../../core';
import type { IRunColumns } from '../../experiments/table/service';
import type { IPageContext } from '../loading';

import type { ITraceActions } from './actions';
import { TracesPage } from './widget';

/** Return the page of all traces; with an id that trace is open in it. `columns` were asked for before. */
export function tracesPage(
  { app, core, id, state }: IPageContext,
  columns: Promise<IRunColumns | undefined>
): TracesPage {
  const page = new TracesPage({
    core,
    state,
    // A page of one trace is opened with its id again.
    keepsView: !id,
    columns,
    actions: actions(app, core)
  });
  if (id) {
    page.model.open(id);
  }
  return page;
}

function actions(
  { commands }: JupyterFrontEnd,
  core: IGenOpsCore
): ITraceActions {
  const execute = executor(commands);
  return {
    openMlflow: ({ trace_id, experiment_id }) =>
      execute('genops:open-mlflow', { trace_id, experiment_id }),
    openRun: run_id => execute('genops:open-runs', { run_id }),
    openCell: (notebook, cell) =>
      void showCell(commands, notebook, cell).catch(reason =>
        tellFailure(reason, core.trans)
      )
  };
}

/** Open a notebook at a cell; a cell that was deleted since leaves the notebook where it is. */
async function showCell(
  commands: JupyterFrontEnd['commands'],
  path: string,
  id: string
): Promise<void> {
  const opened: unknown = await commands.execute('docmanager:open', { path });
  const panel = opened as NotebookPanel | undefined;
  await panel?.revealed;
  const content = panel?.content;
  const at = content?.widgets?.findIndex(({ model }) => model.id === id) ?? -1;
  if (content && at >= 0) {
    content.activeCellIndex = at;
    await content.scrollToCell(content.widgets[at], 'center');
  }
}
