import type { PartialJSONObject, PartialJSONValue } from '@lumino/coreutils';

import type { IAggregate, ILifecycle, IRunSort } from './service';

/** A column that is shown. */
export interface IShownColumn {
  /** `metrics.NAME`, `params.NAME`, `tags.NAME` or an attribute. */
  readonly name: string;
  /** In pixels; default: by its kind. */
  readonly width?: number;
  /** Stays in place while the others scroll. */
  readonly pinned?: boolean;
  /** Whether the background shows the size of a number. */
  readonly colored?: boolean;
  /**
   * How its numbers are aggregated in a group; default: the mean, of times the
   * latest.
   */
  readonly aggregate?: IAggregate;
}

/** The arrangement of the table. */
export interface IView {
  /** Null: the columns that the table chooses. */
  readonly columns: readonly IShownColumn[] | null;
  readonly sort: readonly IRunSort[];
  readonly query: string;
  /** Names or ids; none for all. */
  readonly experiments: readonly string[];
  readonly lifecycle: ILifecycle;
  /**
   * Columns by which runs are grouped, the outermost first; none for no groups.
   */
  readonly groups: readonly string[];
}

export interface ISavedView extends IView {
  readonly name: string;
  /** The charts, if they were open. */
  readonly charts?: PartialJSONObject;
}

export const FIRST_VIEW: IView = {
  columns: null,
  sort: [],
  query: '',
  experiments: [],
  lifecycle: 'active',
  groups: []
};

const MOST_COLUMNS = 500;
/** Depth of nested groups. */
export const MOST_LEVELS = 4;
const AGGREGATES: readonly unknown[] = ['mean', 'min', 'max'];

/** Read a saved view, whatever the saved value is. */
export function asView(kept: unknown): IView {
  const given = asRecord(kept) ?? {};
  return {
    columns: Array.isArray(given.columns) ? asColumns(given.columns) : null,
    sort: asList(given.sort).flatMap(each => {
      const sort = asRecord(each);
      return typeof sort?.column === 'string'
        ? [{ column: sort.column, descending: sort.descending === true }]
        : [];
    }),
    query: typeof given.query === 'string' ? given.query : '',
    experiments: asList(given.experiments).filter(isText),
    lifecycle:
      given.lifecycle === 'deleted' || given.lifecycle === 'all'
        ? given.lifecycle
        : 'active',
    groups: [...new Set(asList(given.groups).filter(isText))].slice(
      0,
      MOST_LEVELS
    )
  };
}

/** Read saved views; of two with one name the later counts. */
export function asSavedViews(kept: unknown): ISavedView[] {
  const found = new Map<string, ISavedView>();
  for (const each of asList(kept)) {
    const { name, charts } = asRecord(each) ?? {};
    if (isText(name) && name.trim()) {
      found.set(name, {
        name,
        ...asView(each),
        ...(asRecord(charts) ? { charts: charts as PartialJSONObject } : {})
      });
    }
  }
  return [...found.values()];
}

/** Return the saved form of a view. */
export function toJson(view: IView | ISavedView): PartialJSONValue {
  return JSON.parse(JSON.stringify(view)) as PartialJSONValue;
}

/** Return whether two views show the same runs, in whatever order. */
export function ofSameRuns(one: IView, other: IView): boolean {
  return (
    one.query === other.query &&
    one.lifecycle === other.lifecycle &&
    one.experiments.join('\n') === other.experiments.join('\n')
  );
}

/** Return whether all runs are shown, the newest first. */
export function isPlain({ query, sort, groups }: IView): boolean {
  return query === '' && sort.length === 0 && groups.length === 0;
}

/** Return whether two views show the same groups. */
export function groupedAlike(one: IView, other: IView): boolean {
  return one.groups.join('\n') === other.groups.join('\n');
}

/** Return the columns in the order of the table: pinned ones first. */
export function inOrder(columns: readonly IShownColumn[]): IShownColumn[] {
  return [
    ...columns.filter(({ pinned }) => pinned),
    ...columns.filter(({ pinned }) => !pinned)
  ];
}

/**
 * Move a column to the place of another one; it becomes pinned if that one is.
 */
export function moved(
  columns: readonly IShownColumn[],
  name: string,
  target: string
): IShownColumn[] {
  const order = inOrder(columns);
  const from = order.findIndex(each => each.name === name);
  const to = order.findIndex(each => each.name === target);
  if (from === -1 || to === -1 || from === to) {
    return order;
  }
  const [column] = order.splice(from, 1);
  order.splice(to, 0, { ...column, pinned: isPinned(columns, target) });
  return order;
}

/**
 * Return the sort after a click on a column: ascending, descending, not at all.
 */
export function turned(
  sort: readonly IRunSort[],
  column: string,
  adds: boolean
): IRunSort[] {
  const old = sort.find(each => each.column === column);
  const next: IRunSort[] = !old
    ? [{ column, descending: false }]
    : old.descending
      ? []
      : [{ column, descending: true }];
  if (!adds) {
    return next;
  }
  return old
    ? sort.flatMap(each => (each.column === column ? next : [each]))
    : [...sort, ...next];
}

function isPinned(columns: readonly IShownColumn[], name: string): boolean {
  return columns.find(each => each.name === name)?.pinned === true;
}

function asColumns(kept: unknown[]): IShownColumn[] {
  const found = new Map<string, IShownColumn>();
  for (const each of kept.slice(0, MOST_COLUMNS)) {
    const { name, width, pinned, colored, aggregate } = asRecord(each) ?? {};
    if (isText(name) && name) {
      found.set(name, {
        name,
        ...(typeof width === 'number' && width >= 30 && width <= 2000
          ? { width }
          : {}),
        ...(pinned === true ? { pinned } : {}),
        ...(colored === true ? { colored } : {}),
        ...(AGGREGATES.includes(aggregate)
          ? { aggregate: aggregate as IAggregate }
          : {})
      });
    }
  }
  return [...found.values()];
}

function asList(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function asRecord(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}
