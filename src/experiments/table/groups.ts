import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { IGrouping, IRunSort } from './service';
import type { IShownColumn } from './view-state';
import { MOST_LEVELS } from './view-state';
import type { IRow } from './rows';

/**
 * A group's values from the outermost level on; null for runs without a value.
 */
export type GroupPath = readonly (string | null)[];

/** Groups can be sorted by columns or by this: their number of runs. */
export const RUNS = 'runs';
/**
 * Groups that were opened one by one: above this number, the first ones are
 * forgotten.
 */
const MOST_TURNED = 2000;
/** Rows of a group that decide the state of its checkbox. */
const MOST_LOOKED_AT = 500;

/** Open groups: those of the first levels, except the turned ones. */
export interface IFolding {
  readonly openLevels: number;
  readonly turned: readonly GroupPath[];
}

export const CLOSED: IFolding = { openLevels: 0, turned: [] };

/** The open groups of the table. */
export class GroupFolds {
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get folding(): IFolding {
    return this._folding;
  }

  /** Restore the saved state, without a notification. */
  begin(folding: IFolding): void {
    this._folding = folding;
  }

  /** Open a closed group, close an open one. */
  turn(path: GroupPath): void {
    const { openLevels, turned } = this._folding;
    const key = keyOf(path);
    const others = turned.filter(each => keyOf(each) !== key);
    this._put({
      openLevels,
      turned:
        others.length < turned.length
          ? others
          : [...others, path].slice(-MOST_TURNED)
    });
  }

  openAll(): void {
    this._put({ openLevels: MOST_LEVELS, turned: [] });
  }

  closeAll(): void {
    this._put(CLOSED);
  }

  private _put(folding: IFolding): void {
    this._folding = folding;
    this._changed.emit();
  }

  private _folding: IFolding = CLOSED;
  private _changed = new Signal<this, void>(this);
}

/** Return a key that is unique for each group. */
export function keyOf(path: GroupPath): string {
  return JSON.stringify(path);
}

/** Return the grouping for the server; undefined without groups. */
export function asGrouping(
  by: readonly string[],
  { openLevels, turned }: IFolding,
  columns: readonly IShownColumn[]
): IGrouping | undefined {
  return by.length === 0
    ? undefined
    : {
        by: [...by],
        open_levels: openLevels,
        turned: turned.map(path => [...path]),
        within: [],
        aggregates: Object.fromEntries(
          columns.flatMap(({ name, aggregate }) =>
            aggregate ? [[name, aggregate]] : []
          )
        )
      };
}

/** Return the sort without the part that only groups can use. */
export function withoutHeads(sort: readonly IRunSort[]): IRunSort[] {
  return sort.filter(({ column }) => column !== RUNS).map(by => ({ ...by }));
}

/**
 * Return the ids of a group's runs, as far as they are among the rows below its
 * head.
 */
export function idsBelow(rows: readonly IRow[], head: IRow): string[] {
  const ids: string[] = [];
  const level = head.group?.path.length ?? 0;
  const end = Math.min(rows.length, head.index + 1 + MOST_LOOKED_AT);
  for (let at = head.index + 1; at < end; at++) {
    const { id, group } = rows[at];
    if (group ? group.path.length <= level : !id) {
      break;
    }
    if (id) {
      ids.push(id);
    }
  }
  return ids;
}

/** Return the depth of a row: 0 for rows in no group. */
export function levelOf(row: IRow, levels: number): number {
  return row.group ? row.group.path.length - 1 : levels;
}

/** Read saved open groups, whatever the saved value is. */
export function asFolding(kept: unknown): IFolding {
  const { openLevels, turned } = (kept ?? {}) as Record<string, unknown>;
  return {
    openLevels: openLevels === MOST_LEVELS ? MOST_LEVELS : 0,
    turned: (Array.isArray(turned) ? (turned as unknown[]) : [])
      .filter(isPath)
      .slice(0, MOST_TURNED)
  };
}

function isPath(value: unknown): value is GroupPath {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.length <= MOST_LEVELS &&
    value.every(each => each === null || typeof each === 'string')
  );
}
