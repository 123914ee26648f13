import type { RunTableModel } from '../table/model';

/** What of the table the charts use. */
export type ITable = Pick<
  RunTableModel,
  'view' | 'changed' | 'selection' | 'setView' | 'open' | 'windows' | 'charts'
>;
