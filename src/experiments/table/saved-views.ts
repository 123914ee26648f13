import type { ISettingRegistry } from '@jupyterlab/settingregistry';
import type { IStateDB } from '@jupyterlab/statedb';
import type { PartialJSONObject } from '@lumino/coreutils';
import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { IFolding } from './groups';
import { CLOSED, asFolding } from './groups';
import type { ISavedView, IView } from './view-state';
import { FIRST_VIEW, asSavedViews, asView, toJson } from './view-state';

const MOST_QUERIES = 12;

/** The saved state of the table in a browser's workspace. */
export interface ILeft {
  readonly view: IView;
  readonly queries: readonly string[];
  /** Codes of advice that the user has dismissed. */
  readonly dismissed: readonly string[];
  readonly folding: IFolding;
  /** The id whose detail is shown, in tables that keep it. */
  readonly opened?: string;
}

export const NOTHING_LEFT: ILeft = {
  view: FIRST_VIEW,
  queries: [],
  dismissed: [],
  folding: CLOSED
};

/**
 * Named views are settings of the user, the same in all their browsers; the
 * table's last state belongs to the workspace.
 */
export class ViewStore implements IDisposable {
  constructor(
    private _settings: ISettingRegistry.ISettings | null,
    private _state: IStateDB | null,
    private _key = 'genops-lab:runs'
  ) {
    this._settings?.changed.connect(this._onSettings, this);
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get views(): ISavedView[] {
    return asSavedViews(this._settings?.get('views').composite);
  }

  /** Whether views can be saved here. */
  get canSave(): boolean {
    return this._settings !== null;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  /**
   * Save a view under a name, with the charts if there are any; it replaces one
   * of that name.
   */
  async save(
    name: string,
    view: IView,
    charts: PartialJSONObject | null
  ): Promise<void> {
    const others = this.views.filter(each => each.name !== name);
    await this._set([
      ...others,
      { ...view, name, ...(charts ? { charts } : {}) }
    ]);
  }

  async remove(name: string): Promise<void> {
    await this._set(this.views.filter(each => each.name !== name));
  }

  async left(): Promise<ILeft> {
    const kept = (await this._state?.fetch(this._key)) as
      Record<string, unknown> | undefined;
    return {
      view: asView(kept?.view),
      queries: texts(kept?.queries).slice(0, MOST_QUERIES),
      dismissed: texts(kept?.dismissed),
      folding: asFolding(kept?.folding),
      opened: typeof kept?.opened === 'string' ? kept.opened : undefined
    };
  }

  async leave(left: ILeft): Promise<void> {
    await this._state?.save(this._key, {
      view: toJson(left.view),
      queries: left.queries.slice(0, MOST_QUERIES),
      dismissed: [...left.dismissed],
      ...(left.opened ? { opened: left.opened } : {}),
      folding: {
        openLevels: left.folding.openLevels,
        turned: left.folding.turned.map(path => [...path])
      }
    });
  }

  dispose(): void {
    this._isDisposed = true;
    Signal.clearData(this);
  }

  private async _set(views: ISavedView[]): Promise<void> {
    const sorted = [...views].sort((a, b) => a.name.localeCompare(b.name));
    await this._settings?.set('views', sorted.map(toJson));
  }

  private _onSettings(): void {
    this._changed.emit();
  }

  private _changed = new Signal<this, void>(this);
  private _isDisposed = false;
}

/** Return the queries with a new one, the last one first. */
export function withQuery(queries: readonly string[], query: string): string[] {
  return [query, ...queries.filter(each => each !== query)].slice(
    0,
    MOST_QUERIES
  );
}

function texts(kept: unknown): string[] {
  return Array.isArray(kept)
    ? kept.filter((each): each is string => typeof each === 'string')
    : [];
}
