import type { JupyterFrontEnd } from '@jupyterlab/application';
import { MainAreaWidget } from '@jupyterlab/apputils';
import type { LabIcon } from '@jupyterlab/ui-components';
import { ReactWidget } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import type { IDisposable } from '@lumino/disposable';
import type { Title, Widget } from '@lumino/widgets';

/** A view whose models send no requests while it is hidden or detached, or its page is hidden. */
export abstract class SeenView extends ReactWidget {
  constructor() {
    super();
    document.addEventListener('visibilitychange', this._look);
  }

  override dispose(): void {
    this._focus?.dispose();
    document.removeEventListener('visibilitychange', this._look);
    super.dispose();
  }

  /** Called at each change of visibility, and with false before the view is detached. */
  protected abstract setSeen(seen: boolean): void;

  protected override onAfterShow(msg: Message): void {
    super.onAfterShow(msg);
    this._look();
  }

  protected override onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    this._look();
    if (this.parent instanceof MainAreaWidget) {
      this.parent.title.changed.connect(this._name, this);
      this._name(this.parent.title);
      void this._keepFocus();
    }
  }

  protected override onAfterHide(msg: Message): void {
    super.onAfterHide(msg);
    this._look();
  }

  protected override onBeforeDetach(msg: Message): void {
    this.setSeen(false);
    super.onBeforeDetach(msg);
  }

  /** Name the page's region by its title: JupyterLab calls each "main area content". */
  private _name({ label }: Title<Widget>): void {
    this.node.setAttribute('aria-label', label);
  }

  private async _keepFocus(): Promise<void> {
    const { keepFocus } = await import('./keep-focus');
    if (!this.isDisposed) {
      this._focus ??= keepFocus(this.node);
    }
  }

  private _focus?: IDisposable;

  private _look = (): void =>
    this.setSeen(this.isVisible && document.visibilityState !== 'hidden');
}

/** A view of one model. The model sends no requests while the view is hidden, and is disposed with it. */
export abstract class FollowingView<
  M extends { visible: boolean; dispose(): void }
> extends SeenView {
  constructor(readonly model: M) {
    super();
  }

  override dispose(): void {
    this.model.dispose();
    super.dispose();
  }

  protected override setSeen(seen: boolean): void {
    this.model.visible = seen;
  }
}

/** Open a view below the main area's current one, or bring an open view to the front. */
export function openBelow(
  { shell }: JupyterFrontEnd,
  options: {
    /** Each id has one view. */
    id: string;
    title: string;
    icon: LabIcon;
    content: () => Widget;
  }
): void {
  const { id, title, icon } = options;
  if (!Array.from(shell.widgets('main')).some(each => each.id === id)) {
    const widget = new MainAreaWidget({ content: options.content() });
    widget.id = id;
    widget.title.label = title;
    widget.title.icon = icon;
    widget.title.closable = true;
    shell.add(widget, 'main', { mode: 'split-bottom' });
  }
  shell.activateById(id);
}
