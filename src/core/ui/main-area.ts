import type { JupyterFrontEnd } from '@jupyterlab/application';
import { MainAreaWidget } from '@jupyterlab/apputils';
import type { LabIcon } from '@jupyterlab/ui-components';
import { ReactWidget } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import type { Widget } from '@lumino/widgets';

import type { Resource } from '../resource';

/** A view that follows a resource while it is seen, and disposes it with itself. */
export abstract class FollowingView<T> extends ReactWidget {
  constructor(protected readonly resource: Resource<T>) {
    super();
  }

  override dispose(): void {
    this.resource.dispose();
    super.dispose();
  }

  protected override onAfterShow(msg: Message): void {
    super.onAfterShow(msg);
    this.resource.visible = true;
  }

  protected override onAfterHide(msg: Message): void {
    super.onAfterHide(msg);
    this.resource.visible = false;
  }

  protected override onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    this.resource.visible = this.isVisible;
  }
}

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
