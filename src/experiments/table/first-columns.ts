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
/** Metrics that training loops log automatically: they come last. */
const TRAINING = 'metrics.train/';
const MOST_TRAINING = 4;
/** Parameters that are checked for differences. */
const MOST_CANDIDATES = 40;

/**
 * Runs whose parameters are compared: whole windows, so that they can be shown
 * at once.
 */
const SAMPLE = 2 * WINDOW;

const ATTRIBUTES = [...ALWAYS, 'duration', 'user', 'experiment'];

/**
 * Columns, whether they are final, and the first rows with all values that were
 * read.
 */
export interface IChoice {
  readonly columns: IShownColumn[];
  readonly certain: boolean;
  readonly sample: IRunTable | null;
}

/**
 * With fewer runs the next one may well have new columns, such as a first
 * metric.
 */
const ENOUGH = 20;

/**
 * Choose the columns for the newest of the question's runs. The choice is final
 * once all runs are read and there are enough of them.
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
    // The table's own question fails in the same way, and shows the error.
    return {
      sample: null,
      columns: firstColumns([], { columns: [] }),
      certain: false
    };
  }
}

/**
 * Return the parameters and metrics that may be worth a column: those that most
 * runs have.
 */
export function candidates(columns: readonly IRunColumnInfo[]): string[] {
  return [
    ...mostUsed(columns, 'param', MOST_CANDIDATES),
    ...metricsOf(columns).flat()
  ];
}

/**
 * Return the default columns: name, the metrics that most runs have, start,
 * duration, user and experiment if there are several, the parameters that
 * differ among these runs, metrics of training. The status is the name's icon.
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

/** Return the existing columns that a view's query and sort name. */
export function askedColumns(
  { query, sort }: Pick<IView, 'query' | 'sort'>,
  columns: readonly IRunColumnInfo[],
  naming: string
): string[] {
  const known = new Set(columns.map(({ column }) => column));
  const names = [...namesIn(query), ...sort.map(({ column }) => column)];
  return [...new Set(names)].filter(
    name => known.has(name) && name !== naming && name !== 'status'
  );
}

/** Put these columns directly behind the name. */
export function withAsked(
  columns: readonly IShownColumn[],
  asked: readonly string[],
  naming: string
): IShownColumn[] {
  return [
    ...columns.filter(({ name }) => name === naming),
    ...asked.map(name => ({ name })),
    ...columns.filter(({ name }) => name !== naming && !asked.includes(name))
  ];
}

/** The user's metrics, and those that training loops log automatically. */
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
