import type { IDisposable } from '@lumino/disposable';

import type { components } from '../api/generated';
import type { IGenOpsCore } from '../core';
import { PagedResource, tellFailure } from '../core';

export type IAliasMove = components['schemas']['AliasMove'];

/** The history of a model's aliases, newest first. */
export class HistoryModel implements IDisposable {
  constructor(
    private _core: Pick<IGenOpsCore, 'api' | 'events' | 'trans'>,
    readonly name: string
  ) {
    const { api, events, trans } = _core;
    this.moves = new PagedResource<IAliasMove>({
      fetch: async (page, signal) => {
        const query = { ...page, alias: this._alias };
        const found = await api.data(
          api.http.GET('/models/{name}/moves', {
            params: { path: { name }, query },
            signal
          })
        );
        found.items.forEach(({ alias }) => this._aliases.add(alias));
        return found;
      },
      key: ({ id }) => id,
      events,
      kinds: ['model'],
      trans
    });
  }

  readonly moves: PagedResource<IAliasMove>;

  /** The aliases of all moves that were shown. */
  get aliases(): string[] {
    return [...this._aliases].sort();
  }

  /** The alias whose moves are shown; empty for all. */
  get alias(): string {
    return this._alias;
  }

  get visible(): boolean {
    return this.moves.visible;
  }
  set visible(value: boolean) {
    this.moves.visible = value;
  }

  get isDisposed(): boolean {
    return this.moves.isDisposed;
  }

  dispose(): void {
    this.moves.dispose();
  }

  async show(alias: string): Promise<void> {
    this._alias = alias;
    await this.moves.refresh();
  }

  /** Move the alias back to where it was before its last move, which the page shows. */
  async revert({ alias, to_version }: IAliasMove): Promise<void> {
    const { api, trans } = this._core;
    try {
      await api.data(
        api.http.POST('/models/{name}/aliases/{alias}/revert', {
          params: { path: { name: this.name, alias } },
          body: { reason: '', expected: to_version }
        })
      );
    } catch (reason) {
      tellFailure(reason, trans);
    }
    await this.moves.refresh();
  }

  private _alias = '';
  private _aliases = new Set<string>();
}

/** The newest move of each alias among these, which are newest first. */
export function newest(moves: readonly IAliasMove[]): Set<string> {
  const seen = new Set<string>();
  return new Set(
    moves
      .filter(({ alias }) => !seen.has(alias) && seen.add(alias))
      .map(({ id }) => id)
  );
}
