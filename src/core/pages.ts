import type { ILayoutRestorer, JupyterFrontEnd } from '@jupyterlab/application';
import { MainAreaWidget, WidgetTracker } from '@jupyterlab/apputils';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';
import type { Widget } from '@lumino/widgets';

/**
 * Pages of one kind in the main area, one for each id. A page loads when it is first opened, and the layout restorer
 * opens it again after a reload.
 */
export class Pages<T extends Widget> {
  constructor(
    private _app: JupyterFrontEnd,
    options: {
      /** The name under which the workspace keeps the pages. */
      namespace: string;
      /** The command that opens a page. */
      command: string;
      restorer: ILayoutRestorer | null;
    }
  ) {
    const { namespace, command } = options;
    this._tracker = new WidgetTracker({ namespace });
    void options.restorer?.restore(this._tracker, {
      command,
      name: ({ id }) => id,
      args: ({ id }) => this._args.get(id) ?? {}
    });
  }

  /**
   * Open the page of an id, or bring it to the front. The content names itself by its title. `args`: the arguments of
   * the command that opens it again. `below`: a new page goes below the current one.
   */
  async open(
    id: string,
    make: () => Promise<T>,
    args: ReadonlyPartialJSONObject = {},
    below = false
  ): Promise<MainAreaWidget<T>> {
    let opening = this._opened.get(id);
    if (!opening) {
      this._args.set(id, args);
      opening = this._add(id, make, below);
      this._opened.set(id, opening);
      opening.catch(() => this._opened.delete(id));
    }
    const page = await opening;
    this._app.shell.activateById(id);
    return page;
  }

  private async _add(
    id: string,
    make: () => Promise<T>,
    below: boolean
  ): Promise<MainAreaWidget<T>> {
    const page = new MainAreaWidget({ content: await make() });
    page.id = id;
    page.toolbar.hide();
    page.disposed.connect(() => this._opened.delete(id));
    await this._tracker.add(page);
    this._app.shell.add(page, 'main', below ? { mode: 'split-bottom' } : {});
    return page;
  }

  private _tracker: WidgetTracker<MainAreaWidget<T>>;
  private _args = new Map<string, ReadonlyPartialJSONObject>();
  private _opened = new Map<string, Promise<MainAreaWidget<T>>>();
}
