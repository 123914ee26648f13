import { rank } from '../metric-choice';

import { NAME, groupOfColumn } from './column-messages';
import { namesIn } from './query-text';
import type {
  IQuestion,
  IRunColumnInfo,
  IRunColumns,
  IRunTable,
  RunTableService
} from './service';
import { ALWAYS } from './questions';
import type { IShownColumn, IView } from './view-state';
import { WINDOW } from './windows';

const MOST_PARAMS = 6;
const MOST_METRICS = 8;
/** Metrics that training loops log by themselves: they stand last. */
const TRAINING = 'metrics.train/';
const MOST_TRAINING = 4;
/** Parameters that are looked at for whether they differ. */
const MOST_CANDIDATES = 40;

/** Runs that are looked at for which parameters differ: whole windows, to be shown at once. */
const SAMPLE = 2 * WINDOW;

const ATTRIBUTES = [...ALWAYS, 'duration', 'user', 'experiment'];

/** Columns, whether they stay, and the first rows with all that was looked at. */
export interface IChoice {
  readonly columns: IShownColumn[];
  readonly certain: boolean;
  readonly sample: IRunTable | null;
}

/** With fewer runs the next one may well have what they lack, such as a first metric. */
const ENOUGH = 20;

/**
 * The columns for the newest of the question's runs. They are certain once all runs
 * are read and there are enough; until then there may be more to choose from.
 */
export async function chooseColumns(
  { columns, state }: IRunColumns,
  ask: (names: string[]) => IQuestion,
  service: Pick<RunTableService, 'window'>
): Promise<IChoice> {
  const names = [...ATTRIBUTES, ...candidates(columns)];
  try {
    const sample = await service.window(ask(names), 0, SAMPLE);
    return {
      sample,
      columns: firstColumns(columns, sample),
      certain: sample.run_ids.length >= ENOUGH && state.complete
    };
  } catch {
    // The table's own question fails like this one, and says why.
    return {
      sample: null,
      columns: firstColumns([], { columns: [] }),
      certain: false
    };
  }
}

/** The parameters and metrics that may be worth a column: those that most runs have. */
export function candidates(columns: readonly IRunColumnInfo[]): string[] {
  return [
    ...mostUsed(columns, 'param', MOST_CANDIDATES),
    ...metricsOf(columns).flat()
  ];
}

/**
 * The columns of a table that nobody has arranged: name, the metrics that most runs
 * have, start, duration, user and experiment where there are several, the parameters
 * that differ among these runs, metrics of training. The status is the name's icon.
 */
export function firstColumns(
  columns: readonly IRunColumnInfo[],
  sample: Pick<IRunTable, 'columns'>
): IShownColumn[] {
  const values = new Map(
    sample.columns.map(each => [each.column, each.values])
  );
  const differs = (name: string) => new Set(values.get(name)).size > 1;
  const [own, training] = metricsOf(columns);
  const names = [
    ...(own.length > 0 ? own : training),
    'start_time',
    'duration',
    ...['user', 'experiment'].filter(differs),
    ...mostUsed(columns, 'param', MOST_CANDIDATES)
      .filter(differs)
      .slice(0, MOST_PARAMS),
    ...(own.length > 0 ? training : [])
  ];
  return [{ name: NAME, pinned: true }, ...names.map(name => ({ name }))];
}

/** The columns that a view's query and sort name, of those that there are. */
export function askedColumns(
  { query, sort }: Pick<IView, 'query' | 'sort'>,
  columns: readonly IRunColumnInfo[]
): string[] {
  const known = new Set(columns.map(({ column }) => column));
  const names = [...namesIn(query), ...sort.map(({ column }) => column)];
  return [...new Set(names)].filter(
    name => known.has(name) && name !== NAME && name !== 'status'
  );
}

/** The columns with these directly behind the name. */
export function withAsked(
  columns: readonly IShownColumn[],
  asked: readonly string[]
): IShownColumn[] {
  return [
    ...columns.filter(({ name }) => name === NAME),
    ...asked.map(name => ({ name })),
    ...columns.filter(({ name }) => name !== NAME && !asked.includes(name))
  ];
}

/** The user's metrics, and those that training loops log by themselves. */
function metricsOf(
  columns: readonly IRunColumnInfo[]
): [own: string[], training: string[]] {
  const isTraining = ({ column }: IRunColumnInfo) =>
    column.startsWith(TRAINING);
  return [
    mostUsed(
      columns.filter(each => !isTraining(each)),
      'metric',
      MOST_METRICS
    ),
    mostUsed(columns.filter(isTraining), 'metric', MOST_TRAINING)
  ];
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
    .map(({ column, runs }) => ({
      column,
      runs,
      // The order of parameters is the server's.
      rank: group === 'metric' ? rank(column) : 0
    }))
    .sort((a, b) => b.runs - a.runs || a.rank - b.rank)
    .slice(0, most)
    .map(({ column }) => column);
}
