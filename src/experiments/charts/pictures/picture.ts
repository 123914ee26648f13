import type { ICondition } from '../conditions';
import type { IScene, Numbers } from '../../../core/charts/scene';

/** Places in a picture that stand for something, such as a run's point. */
export interface ITargets {
  readonly x: Numbers;
  readonly y: Numbers;
  /** What stands at a place. */
  readonly tell: (at: number) => ITarget;
}

export interface ITarget {
  /** What a click opens. */
  readonly runId: string | null;
  /** What a click narrows the table to. */
  readonly condition?: ICondition;
  readonly title: string;
  readonly lines: readonly string[];
  readonly color: string;
}

/** What a dragged box asks for. */
export type Picked =
  | { readonly zoom: readonly [number, number] }
  | { readonly conditions: readonly ICondition[] };

/** The data of a picture, for who does not see it. */
export interface IDataTable {
  readonly head: readonly string[];
  readonly rows: readonly {
    readonly runId: string | null;
    readonly cells: readonly string[];
  }[];
}

/** A swatch and what it stands for. */
export interface IKey {
  readonly color: string;
  readonly label: string;
}

/** A drawn card. */
export interface IPicture {
  readonly scene: IScene;
  /** What it shows, in a sentence. */
  readonly summary: string;
  /** What cannot be seen in it. */
  readonly notes: readonly string[];
  readonly keys: readonly IKey[];
  readonly targets: ITargets;
  /** Along what a box is dragged. */
  readonly brush: 'x' | 'xy' | 'y' | 'none';
  readonly picked: (
    from: readonly [number, number],
    to: readonly [number, number]
  ) => Picked | null;
  readonly table: () => IDataTable;
}

/** Runs of a table of data; the rest is told. */
export const MOST_TABLE_ROWS = 200;

/** The target nearest to a place, at most `within` pixels away; -1 where there is none. */
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
