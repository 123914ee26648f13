import type { JupyterFrontEnd } from '@jupyterlab/application';
import { MainAreaWidget } from '@jupyterlab/apputils';
import type { LabIcon } from '@jupyterlab/ui-components';
import { ReactWidget } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import type { Widget } from '@lumino/widgets';

/** A view whose models ask for nothing while it is not seen: hidden, detached, or in a page that is. */
export abstract class SeenView extends ReactWidget {
  constructor() {
    super();
    document.addEventListener('visibilitychange', this._look);
  }

  override dispose(): void {
    document.removeEventListener('visibilitychange', this._look);
    super.dispose();
  }

  /** Called at each change, and with false before it is detached. */
  protected abstract setSeen(seen: boolean): void;

  protected override onAfterShow(msg: Message): void {
    super.onAfterShow(msg);
    this._look();
  }

  protected override onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    this._look();
  }

  protected override onAfterHide(msg: Message): void {
    super.onAfterHide(msg);
    this._look();
  }

  protected override onBeforeDetach(msg: Message): void {
    this.setSeen(false);
    super.onBeforeDetach(msg);
  }

  private _look = (): void =>
    this.setSeen(this.isVisible && document.visibilityState !== 'hidden');
}

/** A view of one model, which asks for nothing while the view is not seen, and is disposed with it. */
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

/** Show a view below what is in the main area, or bring it to the front where it is there. */
export function openBelow(
  { shell }: JupyterFrontEnd,
  options: {
    /** One view for each. */
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
