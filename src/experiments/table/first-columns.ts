import { NAME, groupOfColumn } from './column-words';
import type { IRunColumnInfo, IRunTable } from './service';
import type { IShownColumn } from './view-state';

const MOST_PARAMS = 6;
const MOST_METRICS = 8;
/** Parameters that are looked at for whether they differ. */
const MOST_CANDIDATES = 40;

/** The parameters and metrics that may be worth a column: those that most runs have. */
export function candidates(columns: readonly IRunColumnInfo[]): string[] {
  return [
    ...mostUsed(columns, 'param', MOST_CANDIDATES),
    ...mostUsed(columns, 'metric', MOST_METRICS)
  ];
}

/**
 * The columns of a table that nobody has arranged: name, status, start, duration,
 * user and experiment where there are several, the parameters that differ among
 * these runs, the metrics that most runs have.
 */
export function firstColumns(
  columns: readonly IRunColumnInfo[],
  sample: IRunTable
): IShownColumn[] {
  const values = new Map(sample.columns.map(each => [each.column, each.values]));
  const differs = (name: string) => new Set(values.get(name)).size > 1;
  const names = [
    'status',
    'start_time',
    'duration',
    ...['user', 'experiment'].filter(differs),
    ...mostUsed(columns, 'param', MOST_CANDIDATES)
      .filter(differs)
      .slice(0, MOST_PARAMS),
    ...mostUsed(columns, 'metric', MOST_METRICS)
  ];
  return [{ name: NAME, pinned: true }, ...names.map(name => ({ name }))];
}

function mostUsed(
  columns: readonly IRunColumnInfo[],
  group: 'param' | 'metric',
  most: number
): string[] {
  return columns
    .filter(
      ({ column, runs }) =>
        runs > 0 &&
        groupOfColumn(column) === group &&
        !column.startsWith('metrics.system/')
    )
    .map(({ column, runs }, place) => ({ column, runs, place }))
    .sort((a, b) => b.runs - a.runs || a.place - b.place)
    .slice(0, most)
    .map(({ column }) => column);
}
