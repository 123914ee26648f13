import type { ICellModel, ICodeCellModel } from '@jupyterlab/cells';
import type * as nbformat from '@jupyterlab/nbformat';
import type { INotebookModel, NotebookPanel } from '@jupyterlab/notebook';
import type { Contents } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { PartialJSONObject } from '@lumino/coreutils';
import { JSONExt } from '@lumino/coreutils';

import type { IRecovered } from './recovered';
import { appendRecovered, recoveredIn } from './recovered';
import { sameOutputs } from './same-outputs';

const TRIES = 5;
const AGAIN_MS = 500;
/** What JupyterLab and Jupyter write by themselves. */
const NOT_COMPARED = [
  'kernelspec',
  'language_info',
  'orig_nbformat',
  'trusted',
  'execution'
];

/** The part of JupyterLab's context that reads and writes the file. */
interface IFileContext {
  revert(): Promise<void>;
  _maybeSave(options: Partial<Contents.IModel>): Promise<Contents.IModel>;
  _updateContentsModel(model: Contents.IModel): void;
  /** Asks the person, after the file has changed on disk. */
  _raiseConflict(
    model: Contents.IModel,
    options: Partial<Contents.IModel>
  ): Promise<Contents.IModel>;
}

/** A cell without its outputs. */
interface ICell {
  id?: string;
  cell_type: string;
  source: nbformat.MultilineString;
  metadata: object;
  attachments?: object;
  execution_count?: number | null;
  outputs?: { readonly length: number };
}

/** The number of a cell's last run, and how many outputs it has. */
type Ran = [number | null, number];

/** A notebook as its file has it, and the ids of its cells in the page. */
interface IState {
  written: PartialJSONObject;
  ran: Ran[];
  recovered: string[];
  ids: string[];
}

/**
 * The file of a notebook, which others write too: the server while no page is
 * there, another page, and an earlier save of this page. Where only outputs
 * differ, the page takes those that it does not have, and JupyterLab does not
 * ask which version to keep.
 */
export class NotebookFile {
  constructor(private _options: NotebookFile.IOptions) {
    const { context, content } = _options.panel;
    void context.ready.then(() => {
      if (content.model && !content.model.dirty) {
        this._known = stateOfPage(content.model);
      }
    });
    this._follow();
  }

  /** Show what others wrote into the file since this page read it. */
  async look(): Promise<void> {
    const { context } = this._options.panel;
    if (!context.isDisposed && !context.model.collaborative) {
      const known = context.contentsModel?.hash;
      const there = await this._read(false);
      if (known && there.hash && there.hash !== known) {
        const whole = await this._readWhole();
        const wasDirty = context.model.dirty;
        if (whole && this._merge(whole.content) && !wasDirty) {
          context.model.dirty = false;
        }
      }
    }
  }

  /** JupyterLab has no hooks for these, so methods of the context are wrapped. */
  private _follow(): void {
    const { panel } = this._options;
    const context = panel.context as unknown as IFileContext;
    const { revert, _maybeSave: save, _raiseConflict: ask } = context;
    if (!save || !ask) {
      return; // another JupyterLab: it asks
    }
    const write = async (options: Partial<Contents.IModel>, state: IState) => {
      this._writing = state;
      const saved = await save.call(context, options);
      if (this._writing === state) {
        this._known = state;
      }
      return saved;
    };
    context.revert = async () => {
      await revert.call(context);
      this._writing = null;
      this._known = stateOfPage(panel.context.model as INotebookModel);
    };
    context._maybeSave = options => {
      const state = this._stateOf(options);
      const saved = this._isAsking
        ? save.call(context, options) // which says that the question is open
        : this._saving.then(() => write(options, state));
      this._saving = saved.then(noop, noop);
      return saved;
    };
    context._raiseConflict = async (model, options) => {
      const there = await this._readWhole();
      if (panel.isDisposed || !there || !this._merge(there.content)) {
        this._isAsking = true;
        return ask.call(context, model, options).finally(() => {
          this._isAsking = false;
        });
      }
      context._updateContentsModel(there);
      const merged = { ...options, content: panel.context.model.toJSON() };
      return write(merged, this._stateOf(merged)); // compares again
    };
  }

  private _stateOf({ content }: Partial<Contents.IModel>): IState {
    const { cells } = this._options.panel.context.model as INotebookModel;
    const ids = Array.from(cells, ({ id }) => id);
    return stateOf(content.cells, content.metadata, ids);
  }

  /** Null where the file cannot be read: another save may be in its middle. */
  private async _readWhole(): Promise<Contents.IModel | null> {
    for (let tries = 0; tries < TRIES; tries++) {
      try {
        return await this._read(true);
      } catch {
        await new Promise(resolve => setTimeout(resolve, AGAIN_MS));
      }
    }
    return null;
  }

  private _read(content: boolean): Promise<Contents.IModel> {
    const { contents, panel } = this._options;
    return contents.get(panel.context.path, {
      content,
      hash: true,
      ...(content ? { type: 'notebook', format: 'json' } : {})
    });
  }

  /** Returns whether only outputs differ; then the page has all of them. */
  private _merge({ cells, metadata }: nbformat.INotebookContent): boolean {
    const { panel, isRunning, taken, trans } = this._options;
    const { model } = panel.content;
    const there = stateOf(cells as ICell[], metadata);
    const before = this._known;
    const isOld = ({ metadata: of }: nbformat.ICell) =>
      !recoveredIn(of) || !!before?.recovered.includes(recoveredIn(of));
    const old = (cells as nbformat.ICell[]).filter(isOld);
    const { written } = stateOf(old as ICell[], metadata);
    if (!model || !before || !JSONExt.deepEqual(before.written, written)) {
      return false;
    }
    const homeless: IRecovered[] = [];
    old.forEach((cell, index) => {
      const [id, ran] = [before.ids[index], before.ran[index]];
      if (cell.cell_type !== 'code' || isSameRun(ran, ranOf(cell))) {
        return;
      }
      const { outputs, execution_count } = cell as nbformat.ICodeCell;
      const found = codeCell(model, id);
      if (found?.sharedModel.getSource() !== textOf(cell.source)) {
        homeless.push(recovered(`${id} ${ran.join()}`, cell));
      } else if (
        !isRunning(found) &&
        (found.executionCount === null || isSameRun(ran, ranOf(light(found))))
      ) {
        found.trusted ||= cell.metadata.trusted === true;
        if (!sameOutputs(found.outputs.toJSON(), outputs)) {
          found.outputs.fromJSON(outputs);
        }
        found.executionCount = execution_count;
        taken(found);
      }
    });
    for (const cell of cells as nbformat.ICell[]) {
      if (cell.cell_type === 'code' && !isOld(cell)) {
        homeless.push(recovered(recoveredIn(cell.metadata), cell));
      }
    }
    const present = model.sharedModel.cells.filter(cell =>
      recoveredIn(cell.getMetadata())
    );
    const isNew = ({ code, outputs }: IRecovered) =>
      outputs.length > 0 &&
      !present.some(cell => {
        const { source, outputs: there } = cell.toJSON() as nbformat.ICodeCell;
        return source === code && sameOutputs(there ?? [], outputs);
      });
    appendRecovered(model.sharedModel, homeless.filter(isNew), trans);
    old.forEach((cell, index) => {
      there.ids[cells.indexOf(cell)] = before.ids[index];
    });
    this._known = there;
    return true;
  }

  /** The file as this page last read or wrote it. */
  private _known: IState | null = null;
  /** What the present save writes. */
  private _writing: IState | null = null;
  /** A save begins when the one before has ended. */
  private _saving: Promise<void> = Promise.resolve();
  private _isAsking = false;
}

export namespace NotebookFile {
  export interface IOptions {
    panel: NotebookPanel;
    contents: Pick<Contents.IManager, 'get'>;
    /** Whether the cell's outputs still come. */
    isRunning: (cell: ICodeCellModel) => boolean;
    /** Called when a cell has got the outputs of a run that has ended. */
    taken: (cell: ICodeCellModel) => void;
    trans: TranslationBundle;
  }
}

/** Return the code cell with this id. */
export function codeCell(
  model: INotebookModel,
  id: string | undefined
): ICodeCellModel | null {
  for (const cell of model.cells) {
    if (cell.id === id && cell.type === 'code') {
      return cell as ICodeCellModel;
    }
  }
  return null;
}

/** Return a cell without the content of its outputs, which may be large. */
function light(cell: ICellModel): ICell {
  if (cell.type !== 'code') {
    return cell.sharedModel.toJSON() as ICell;
  }
  const { executionCount, outputs } = cell as ICodeCellModel;
  return {
    id: cell.id,
    cell_type: 'code',
    source: cell.sharedModel.getSource(),
    metadata: cell.sharedModel.getMetadata(),
    execution_count: executionCount,
    outputs
  };
}

function stateOfPage(model: INotebookModel): IState {
  return stateOf(Array.from(model.cells, light), model.sharedModel.metadata);
}

function stateOf(
  cells: readonly ICell[],
  metadata: object,
  ids = cells.map(({ id }) => id ?? '')
): IState {
  return {
    written: {
      metadata: compared(metadata),
      cells: cells.map(cell => ({
        type: cell.cell_type,
        source: textOf(cell.source),
        metadata: compared(cell.metadata),
        attachments: compared(cell.attachments ?? {})
      }))
    },
    ran: cells.map(ranOf),
    recovered: cells.map(cell => recoveredIn(cell.metadata)).filter(Boolean),
    ids
  };
}

function compared(given: object): PartialJSONObject {
  return Object.fromEntries(
    Object.entries(given).filter(([key]) => !NOT_COMPARED.includes(key))
  );
}

function ranOf({ execution_count, outputs }: ICell): Ran {
  return [execution_count ?? null, outputs?.length ?? 0];
}

function isSameRun(one: Ran, other: Ran): boolean {
  return one.every((value, index) => value === other[index]);
}

function recovered(msg_id: string, cell: nbformat.ICell): IRecovered {
  return {
    msg_id,
    code: textOf(cell.source),
    outputs: cell.outputs as nbformat.IOutput[],
    execution_count: cell.execution_count as number | null
  };
}

const noop = (): void => undefined;

function textOf(source: nbformat.MultilineString): string {
  return Array.isArray(source) ? source.join('') : source;
}
