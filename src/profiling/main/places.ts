/** Lines of code in the user's notebooks and files. */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { CodeCell } from '@jupyterlab/cells';
import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import { ApiError } from '../../core';
import type { IPlace } from '../service';

/** Functions of open notebooks for views of lines. */
export interface IPlaces {
  /** Emitted when a notebook was opened. */
  readonly changed: ISignal<object, void>;
  /** The text of a cell, if its notebook is open. */
  source(notebook: string, cell: string): string | null;
  /** Whether a line can be shown. */
  canOpen(place: IPlace, notebook: string): boolean;
  /** Show a line in its notebook or file. @throws ApiError */
  open(place: IPlace, notebook: string): Promise<void>;
  /** Open a notebook. */
  openNotebook(path: string): Promise<void>;
}

export class Places implements IPlaces {
  constructor(
    private _app: Pick<JupyterFrontEnd, 'commands' | 'shell'>,
    private _notebooks: INotebookTracker | null,
    private _trans: TranslationBundle
  ) {
    _notebooks?.widgetAdded.connect((_, panel) => {
      void panel.context.ready.then(() => this.changed.emit());
    });
  }

  readonly changed = new Signal<this, void>(this);

  source(notebook: string, cell: string): string | null {
    return (
      this._cell(this._panel(notebook), cell)?.model.sharedModel.getSource() ??
      null
    );
  }

  canOpen(place: IPlace, notebook: string): boolean {
    return place.cell ? notebook !== '' : isRelative(place.file);
  }

  async open(place: IPlace, notebook: string): Promise<void> {
    if (!place.cell) {
      await this._openFile(place);
      return;
    }
    const panel = await this._openedPanel(notebook);
    const cell = this._cell(panel, place.cell);
    if (!panel || !cell) {
      throw new ApiError({
        status: 404,
        code: 'not_found',
        message: this._trans.__(
          'The cell is no longer in the notebook %1.',
          notebook
        ),
        hint: this._trans.__(
          'It was deleted or replaced after the profile was recorded.'
        )
      });
    }
    this._app.shell.activateById(panel.id);
    const { content } = panel;
    content.activeCellIndex = content.widgets.indexOf(cell);
    await content.scrollToCell(cell, 'center');
    await cell.ready;
    content.mode = 'edit';
    const { editor } = cell;
    if (editor) {
      const line = Math.min(place.line, editor.lineCount) - 1;
      editor.setSelection({
        start: { line, column: 0 },
        end: { line, column: editor.getLine(line)?.length ?? 0 }
      });
      editor.revealPosition({ line, column: 0 });
      editor.focus();
    }
  }

  async openNotebook(path: string): Promise<void> {
    await this._openedPanel(path);
  }

  private async _openFile({ file, line }: IPlace): Promise<void> {
    const { commands } = this._app;
    await commands.execute('docmanager:open', { path: file });
    if (commands.hasCommand('fileeditor:go-to-line')) {
      await commands.execute('fileeditor:go-to-line', { line, column: 0 });
    }
  }

  private async _openedPanel(
    notebook: string
  ): Promise<NotebookPanel | undefined> {
    if (!this._panel(notebook)) {
      await this._app.commands.execute('docmanager:open', { path: notebook });
    }
    const panel = this._panel(notebook);
    await panel?.context.ready;
    await panel?.revealed;
    return panel;
  }

  private _panel(notebook: string): NotebookPanel | undefined {
    return this._notebooks?.find(({ context }) => context.path === notebook);
  }

  private _cell(
    panel: NotebookPanel | undefined,
    id: string
  ): CodeCell | undefined {
    return panel?.content.widgets.find(({ model }) => model.id === id) as
      CodeCell | undefined;
  }
}

/**
 * Whether a file may be in the Lab's folder; a browser cannot open other files.
 */
function isRelative(file: string): boolean {
  return (
    file !== '' && !NUMBERED.test(file) && !/^([/\\<]|[a-z]:[/\\])/i.test(file)
  );
}

/** A file name of a cell that is known by its number. */
const NUMBERED = /^\[\d+\]$/;

/**
 * A cell as text, by its number in the notebook if it is known, with its
 * notebook if that is the file.
 */
export function cellWords(
  { file, cell }: Pick<IPlace, 'file' | 'cell'>,
  trans: TranslationBundle
): string {
  const id = cell.slice(0, 8);
  if (NUMBERED.test(file)) {
    return trans.__('Cell %1', file);
  }
  return file === cell
    ? trans.__('Cell %1', id)
    : trans.__('%1, cell %2', file, id);
}

/**
 * A short text for a line of a known notebook: `line 4: x + y`, `[2] line 4: x
 * + y`, `train.py:12`.
 */
export function shortPlaceWords(
  { file, line, cell, text }: IPlace,
  trans: TranslationBundle
): string {
  const base = file.split(/[/\\]/).pop() ?? file;
  const inCell = NUMBERED.test(file)
    ? trans.__('%1 line %2', file, line)
    : trans.__('line %1', line);
  const where = cell || NUMBERED.test(file) ? inCell : `${base}:${line}`;
  return text.trim() ? `${where}: ${text.trim()}` : where;
}

/** A place as text: `train.py:12`, `[2] line 4`, `Cell 3f2a, line 4`. */
export function placeWords(place: IPlace, trans: TranslationBundle): string {
  const name = place.file === place.cell ? cellWords(place, trans) : place.file;
  const inCell = place.cell
    ? trans.__('%1, line %2', name, place.line)
    : `${name}:${place.line}`;
  const at = NUMBERED.test(name)
    ? trans.__('%1 line %2', name, place.line)
    : inCell;
  const where = place.line > 0 ? at : name;
  return place.function && place.function !== '<module>'
    ? trans.__('%1 in %2', where, place.function)
    : where;
}
