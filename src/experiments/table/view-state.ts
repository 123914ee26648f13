import type { PartialJSONObject, PartialJSONValue } from '@lumino/coreutils';

import type { IAggregate, ILifecycle, IRunSort } from './service';

/** A column that is shown. */
export interface IShownColumn {
  /** `metrics.NAME`, `params.NAME`, `tags.NAME` or an attribute. */
  readonly name: string;
  /** In pixels; by default what suits its kind. */
  readonly width?: number;
  /** Stays in place while the others scroll. */
  readonly pinned?: boolean;
  /** Whether the background shows how large a number is. */
  readonly colored?: boolean;
  /** How its numbers are told of a group; by default the mean, of times the latest. */
  readonly aggregate?: IAggregate;
}

/** What a person has made of the table. */
export interface IView {
  /** None: those that the table chooses for the runs that are there. */
  readonly columns: readonly IShownColumn[] | null;
  readonly sort: readonly IRunSort[];
  readonly query: string;
  /** Names or ids; none for all. */
  readonly experiments: readonly string[];
  readonly lifecycle: ILifecycle;
  /** By which columns runs are grouped, the outermost first; none for no groups. */
  readonly groups: readonly string[];
}

export interface ISavedView extends IView {
  readonly name: string;
  /** The charts as they were, where they were open. */
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
/** So deep may groups lie in groups. */
export const MOST_LEVELS = 4;
const AGGREGATES: readonly unknown[] = ['mean', 'min', 'max'];

/** A view from what was kept, whatever that holds. */
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

/** Saved views from what was kept; of two with one name the later. */
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

/** What is kept of a view. */
export function toJson(view: IView | ISavedView): PartialJSONValue {
  return JSON.parse(JSON.stringify(view)) as PartialJSONValue;
}

/** Whether two views show the same runs, in whatever order. */
export function ofSameRuns(one: IView, other: IView): boolean {
  return (
    one.query === other.query &&
    one.lifecycle === other.lifecycle &&
    one.experiments.join('\n') === other.experiments.join('\n')
  );
}

/** Whether all runs are shown, the newest first. */
export function isPlain({ query, sort, groups }: IView): boolean {
  return query === '' && sort.length === 0 && groups.length === 0;
}

/** Whether two views show the same groups. */
export function groupedAlike(one: IView, other: IView): boolean {
  return one.groups.join('\n') === other.groups.join('\n');
}

/** Pinned ones first, each group in its order: as they stand in the table. */
export function inOrder(columns: readonly IShownColumn[]): IShownColumn[] {
  return [
    ...columns.filter(({ pinned }) => pinned),
    ...columns.filter(({ pinned }) => !pinned)
  ];
}

/** The columns with one moved to the place of another; it becomes pinned as that one is. */
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

/** The order of the sort with a column turned: ascending, descending, not at all. */
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
