import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

/**
 * Runs that are selected: some by their ids, or all that match but for some.
 *
 * A range may span rows that were never fetched: their ids are asked for.
 */
export class RunSelection {
  constructor(private _idsOf: RunSelection.IdsOf) {}

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Whether all that match are selected, but for those that were taken out. */
  get isAll(): boolean {
    return this._all;
  }

  has(id: string): boolean {
    return this._all !== this._ids.has(id);
  }

  /** How many of the `matched` runs. */
  count(matched: number): number {
    return this._all ? Math.max(0, matched - this._ids.size) : this._ids.size;
  }

  /** Select a run, or no longer; ranges begin at it. */
  toggle(id: string, index: number): void {
    this._set(id, !this.has(id));
    this._anchor = { index, selects: this.has(id), range: [] };
    this._asked += 1;
    this._tell();
  }

  /** Select a group's runs, or none of them where all are; ranges begin at its head. */
  toggleGroup(group: string, ids: readonly string[], index: number): void {
    const selects = !ids.every(id => this.has(id));
    ids.forEach(id => this._set(id, selects));
    this._groups.set(group, ids);
    this._anchor = { index, selects, range: [] };
    this._asked += 1;
    this._tell();
  }

  /** How the box of a group of so many runs stands, of which `seen` are known. */
  ofGroup(
    group: string,
    runs: number,
    seen: readonly string[]
  ): 'all' | 'some' | 'none' {
    if (this._ids.size === 0) {
      return this._all ? 'all' : 'none';
    }
    const known = this._groups.get(group);
    const ids = known && known.length >= seen.length ? known : seen;
    const selected = ids.filter(id => this.has(id)).length;
    if (selected >= runs) {
      return 'all';
    }
    return selected > 0 || (this._all && ids.length < runs) ? 'some' : 'none';
  }

  /**
   * Do to all rows from the last one toggled to this one what was done to that one,
   * instead of to those up to the row before.
   */
  async extend(index: number): Promise<void> {
    const from = (this._anchor ??= { index, selects: true, range: [] });
    const { index: anchor, selects } = from;
    const asked = ++this._asked;
    const ids = await this._idsOf(
      Math.min(anchor, index),
      Math.max(anchor, index) + 1
    );
    if (asked !== this._asked) {
      return; // Cleared, or extended elsewhere, meanwhile.
    }
    from.range.forEach(id => this._set(id, !selects));
    from.range = ids.filter(id => this.has(id) !== selects);
    ids.forEach(id => this._set(id, selects));
    this._tell();
  }

  /** Select all that match, fetched or not. */
  selectAll(): void {
    this._put(true);
  }

  clear(): void {
    this._groups.clear();
    if (this._all || this._ids.size > 0) {
      this._put(false);
    }
    this._asked += 1;
    this._anchor = null;
  }

  private _set(id: string, selected: boolean): void {
    if (selected === this._all) {
      this._ids.delete(id);
    } else {
      this._ids.add(id);
    }
  }

  private _put(all: boolean): void {
    this._all = all;
    this._ids.clear();
    this._asked += 1;
    this._tell();
  }

  private _tell(): void {
    this._changed.emit();
  }

  private _all = false;
  /** Those selected; of all, those that are not. */
  private _ids = new Set<string>();
  /** Where ranges begin, what they do, and the runs that the last one changed. */
  private _anchor: { index: number; selects: boolean; range: string[] } | null =
    null;
  /** Of groups that were selected, the runs that they had. */
  private _groups = new Map<string, readonly string[]>();
  private _asked = 0;
  private _changed = new Signal<this, void>(this);
}

export namespace RunSelection {
  /** The ids of the rows from `first` to before `end`, of a closed group's head those of its runs. */
  export type IdsOf = (first: number, end: number) => Promise<string[]>;
}
