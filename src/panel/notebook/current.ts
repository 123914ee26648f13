import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import type { Contents } from '@jupyterlab/services';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { ICurrentNotebook } from './tokens';

/** Follows the notebook in front, its name and its kernel. */
export class CurrentNotebook implements ICurrentNotebook {
  constructor(
    notebooks: Pick<
      INotebookTracker,
      'currentWidget' | 'currentChanged'
    > | null,
    private _contents: Pick<Contents.IManager, 'localPath'>
  ) {
    notebooks?.currentChanged.connect(this._onNotebook, this);
    this._onNotebook(notebooks, notebooks?.currentWidget ?? null);
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get panel(): NotebookPanel | null {
    return this._panel;
  }

  get path(): string {
    return this._panel
      ? this._contents.localPath(this._panel.context.path)
      : '';
  }

  private _onNotebook(_: unknown, panel: NotebookPanel | null): void {
    const before = this._panel;
    if (panel !== before) {
      before?.context.pathChanged.disconnect(this._tell, this);
      before?.sessionContext.kernelChanged.disconnect(this._tell, this);
      before?.sessionContext.statusChanged.disconnect(this._tell, this);
      panel?.context.pathChanged.connect(this._tell, this);
      panel?.sessionContext.kernelChanged.connect(this._tell, this);
      panel?.sessionContext.statusChanged.connect(this._tell, this);
      this._panel = panel;
    }
    this._tell();
  }

  private _tell(): void {
    this._changed.emit();
  }

  private _panel: NotebookPanel | null = null;
  private _changed = new Signal<this, void>(this);
}
