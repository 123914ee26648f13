import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

/**
 * The selected runs: some by their ids, or all matching runs except some.
 *
 * A range may include rows that were never fetched: their ids are requested.
 */
export class RunSelection {
  constructor(private _idsOf: RunSelection.IdsOf) {}

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /**
   * Whether all matching runs are selected, except those that were taken out.
   */
  get isAll(): boolean {
    return this._all;
  }

  has(id: string): boolean {
    return this._all !== this._ids.has(id);
  }

  /** Return how many of the `matched` runs are selected. */
  count(matched: number): number {
    return this._all ? Math.max(0, matched - this._ids.size) : this._ids.size;
  }

  /** Select a run, or deselect it; ranges begin at it. */
  toggle(id: string, index: number): void {
    this._set(id, !this.has(id));
    this._anchor = { index, selects: this.has(id), range: [] };
    this._asked += 1;
    this._tell();
  }

  /**
   * Select a group's runs, or deselect them if all are selected; ranges begin
   * at its head.
   */
  toggleGroup(group: string, ids: readonly string[], index: number): void {
    const selects = !ids.every(id => this.has(id));
    ids.forEach(id => this._set(id, selects));
    this._groups.set(group, ids);
    this._anchor = { index, selects, range: [] };
    this._asked += 1;
    this._tell();
  }

  /**
   * Return the state of the checkbox of a group with this number of runs, of
   * which `seen` are known.
   */
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
   * Do to all rows from the last toggled one to this one what was done to that
   * one, and undo it for the previous range.
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
      return; // Cleared, or extended from another place, in the meantime.
    }
    from.range.forEach(id => this._set(id, !selects));
    from.range = ids.filter(id => this.has(id) !== selects);
    ids.forEach(id => this._set(id, selects));
    this._tell();
  }

  /** Select all matching runs, fetched or not. */
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
  /** The selected ids; if all are selected, the others. */
  private _ids = new Set<string>();
  /**
   * The begin of ranges, what they do, and the runs that the last one changed.
   */
  private _anchor: { index: number; selects: boolean; range: string[] } | null =
    null;
  /** Selected groups, with the runs that they had. */
  private _groups = new Map<string, readonly string[]>();
  private _asked = 0;
  private _changed = new Signal<this, void>(this);
}

export namespace RunSelection {
  /**
   * Return the ids of the rows from `first` to before `end`; a closed group's
   * head stands for its runs.
   */
  export type IdsOf = (first: number, end: number) => Promise<string[]>;
}
