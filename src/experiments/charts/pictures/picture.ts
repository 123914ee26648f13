import type { ICondition } from '../conditions';
import type { IScene, Numbers } from '../../../core/charts/scene';

/** Places in a picture that stand for something, such as a run's point. */
export interface ITargets {
  readonly x: Numbers;
  readonly y: Numbers;
  /** Describe the target at a place. */
  readonly describe: (at: number) => ITarget;
}

export interface ITarget {
  /** The run that a click opens. */
  readonly runId: string | null;
  /** The condition that a click adds to the table's query. */
  readonly condition?: ICondition;
  readonly title: string;
  readonly lines: readonly string[];
  readonly color: string;
}

/** The conditions of a dragged box. */
export type Picked =
  | { readonly zoom: readonly [number, number] }
  | { readonly conditions: readonly ICondition[] };

/** The data of a picture, for screen readers. */
export interface IDataTable {
  readonly head: readonly string[];
  readonly rows: readonly {
    readonly runId: string | null;
    readonly cells: readonly string[];
  }[];
}

/** A swatch and its meaning. */
export interface IKey {
  readonly color: string;
  readonly label: string;
}

/** A drawn card. */
export interface IPicture {
  readonly scene: IScene;
  /** The content in one sentence. */
  readonly summary: string;
  /** What the picture leaves out. */
  readonly notes: readonly string[];
  readonly keys: readonly IKey[];
  readonly targets: ITargets;
  /** The direction in which a box is dragged. */
  readonly brush: 'x' | 'xy' | 'y' | 'none';
  readonly picked: (
    from: readonly [number, number],
    to: readonly [number, number]
  ) => Picked | null;
  readonly table: () => IDataTable;
}

/** Runs in a table of data; a sentence gives the number of the others. */
export const MOST_TABLE_ROWS = 200;

/**
 * Return the nearest target, at most `within` pixels away; -1 if there is none.
 */
export function nearest(
  { x, y }: ITargets,
  left: number,
  top: number,
  within: number
): number {
  let found = -1;
  let least = within * within;
  for (let at = 0; at < x.length; at++) {
    const distance = (x[at] - left) ** 2 + (y[at] - top) ** 2;
    if (distance <= least) {
      least = distance;
      found = at;
    }
  }
  return found;
}
