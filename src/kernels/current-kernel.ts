import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

/** The kernel of the current notebook. */
export class CurrentKernel {
  constructor(notebooks: INotebookTracker) {
    notebooks.currentChanged.connect(this._onNotebook, this);
    this._onNotebook(notebooks, notebooks.currentWidget);
  }

  /**
   * Emitted when another notebook becomes current, or it gets another kernel.
   */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get hasNotebook(): boolean {
    return this._panel !== null;
  }

  /** The id of the kernel, or null without one. */
  get kernelId(): string | null {
    return this._panel?.sessionContext.session?.kernel?.id ?? null;
  }

  private _onNotebook(_: unknown, panel: NotebookPanel | null): void {
    if (panel !== this._panel) {
      this._panel?.sessionContext.kernelChanged.disconnect(
        this._onKernel,
        this
      );
      panel?.sessionContext.kernelChanged.connect(this._onKernel, this);
      this._panel = panel;
    }
    this._changed.emit();
  }

  private _onKernel(): void {
    this._changed.emit();
  }

  private _panel: NotebookPanel | null = null;
  private _changed = new Signal<this, void>(this);
}
