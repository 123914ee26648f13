import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { IAttention, IAttentionList } from './tokens';

/** What waits for a person: each source replaces what it said before. */
export class AttentionModel implements IAttentionList {
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get items(): readonly IAttention[] {
    return this._items;
  }

  put(source: string, items: readonly IAttention[]): void {
    if (items.length === 0 && !this._sources.has(source)) {
      return;
    }
    if (items.length > 0) {
      this._sources.set(source, items);
    } else {
      this._sources.delete(source);
    }
    this._items = [...this._sources]
      .flatMap(([name, own]) =>
        own.map(item => ({ ...item, id: `${name}:${item.id}` }))
      )
      .sort((a, b) => b.since - a.since);
    this._changed.emit();
  }

  private _sources = new Map<string, readonly IAttention[]>();
  private _items: readonly IAttention[] = [];
  private _changed = new Signal<this, void>(this);
}
