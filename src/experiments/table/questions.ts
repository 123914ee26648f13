/** Builds the questions of a view to the server. */
import { DIVERGED } from '../diverged';
import { EXTREMES } from '../extremes';

import { NAME } from './column-messages';
import type { IFolding } from './groups';
import { asGrouping, withoutHeads } from './groups';
import type { IQuestion } from './service';
import type { IShownColumn, IView } from './view-state';

/** Columns that every run needs, whatever is shown. */
export const ALWAYS = [
  NAME,
  'status',
  'start_time',
  `tags.${DIVERGED}`,
  `tags.${EXTREMES}`
];

/** The rows of the table, with these columns or the shown ones. */
export function rowsOf(
  view: IView,
  always: readonly string[],
  shown: readonly IShownColumn[],
  folding: IFolding,
  columns?: readonly string[]
): IQuestion {
  const names = columns ?? [...always, ...shown.map(({ name }) => name)];
  const question = runsOf(view, names);
  const groups = asGrouping(view.groups, folding, shown);
  return groups ? { ...question, sort: [...view.sort], groups } : question;
}

/** The runs without groups. */
export function runsOf(view: IView, columns: readonly string[]): IQuestion {
  return {
    experiments: [...view.experiments],
    query: view.query,
    sort: withoutHeads(view.sort),
    lifecycle: view.lifecycle,
    columns: [...new Set(columns)]
  };
}
