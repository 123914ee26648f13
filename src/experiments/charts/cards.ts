/** Cards of the charts view: their content, saved and read back. */
import type { IRunColumnInfo } from '../table/service';
import { chartGroups } from '../metric-choice';

import type { IAxis, ISmoothing } from './service';

export type ICard =
  ICurvesCard | IScatterCard | IBarCard | IParallelCard | IImportanceCard;

interface IBase {
  /** Unique among the cards. */
  readonly id: string;
  /** Uses the full width. */
  readonly wide?: boolean;
}

export interface ICurvesCard extends IBase {
  readonly kind: 'curves';
  /** A metric's name, without `metrics.`. */
  readonly metric: string;
  readonly logX?: boolean;
  readonly logY?: boolean;
}

/** Columns have the names of the run table. */
export interface IScatterCard extends IBase {
  readonly kind: 'scatter';
  readonly x: string;
  readonly y: string;
  readonly color?: string;
  /** Default: log if positive numbers span three decades. */
  readonly logX?: boolean;
  readonly logY?: boolean;
}

export interface IBarCard extends IBase {
  readonly kind: 'bar';
  readonly value: string;
  /** A column whose values are the groups; empty: a bar for each run. */
  readonly by: string;
}

export interface IParallelCard extends IBase {
  readonly kind: 'parallel';
  /** The last column sets the colours. */
  readonly columns: readonly string[];
}

export interface IImportanceCard extends IBase {
  readonly kind: 'importance';
  readonly metric: string;
}

/** The arrangement of the charts. */
export interface IBoard {
  /** Null: cards that suit the present runs. */
  readonly cards: readonly ICard[] | null;
  readonly x: IAxis;
  readonly smoothing: ISmoothing;
  /** Number of runs with curves. */
  readonly most: number;
  /** Whether only selected runs have curves. */
  readonly selectedOnly: boolean;
}

export const FIRST_BOARD: IBoard = {
  cards: null,
  x: 'step',
  smoothing: { kind: 'none', amount: 0 },
  most: 20,
  selectedOnly: false
};

export const MOST_CURVES = [10, 20, 50, 100, 200];
const MOST_CARDS = 60;
const MOST_AXES = 12;

/** Read a saved card; null if the value is not a card. */
function asCard(kept: unknown): ICard | null {
  const { kind, id, ...given } = (
    typeof kept === 'object' && kept !== null ? kept : {}
  ) as Record<string, unknown>;
  const text = (name: string) =>
    typeof given[name] === 'string' ? (given[name] as string) : '';
  const flag = (name: string) =>
    typeof given[name] === 'boolean' ? { [name]: given[name] } : undefined;
  if (typeof id !== 'string' || !id) {
    return null;
  }
  const base = { id, ...flag('wide') };
  const log = { ...flag('logX'), ...flag('logY') };
  switch (kind) {
    case 'curves':
      return text('metric')
        ? { kind, ...base, metric: text('metric'), ...log }
        : null;
    case 'scatter':
      return text('x') && text('y')
        ? {
            kind,
            ...base,
            x: text('x'),
            y: text('y'),
            ...(text('color') ? { color: text('color') } : {}),
            ...log
          }
        : null;
    case 'bar':
      return text('value')
        ? { kind, ...base, value: text('value'), by: text('by') }
        : null;
    case 'parallel': {
      const columns = (
        Array.isArray(given.columns) ? given.columns : []
      ).filter((each): each is string => typeof each === 'string');
      return columns.length > 1
        ? { kind, ...base, columns: columns.slice(0, MOST_AXES) }
        : null;
    }
    case 'importance':
      return text('metric') ? { kind, ...base, metric: text('metric') } : null;
    default:
      return null;
  }
}

/** Read a saved board, whatever the saved value is. */
export function asBoard(kept: unknown): IBoard {
  const given = (
    typeof kept === 'object' && kept !== null ? kept : {}
  ) as Record<string, unknown>;
  const smoothing = (given.smoothing ?? {}) as Partial<ISmoothing>;
  const { kind, amount } = smoothing;
  const seen = new Set<string>();
  return {
    cards: Array.isArray(given.cards)
      ? given.cards
          .slice(0, MOST_CARDS)
          .map(asCard)
          .filter((card): card is ICard => {
            const fresh = card !== null && !seen.has(card.id);
            if (fresh) {
              seen.add(card.id);
            }
            return fresh;
          })
      : null,
    x: given.x === 'time' || given.x === 'relative' ? given.x : 'step',
    smoothing:
      kind === 'ema' && isBetween(amount, 0, 0.999)
        ? { kind, amount }
        : kind === 'mean' && isBetween(amount, 1, 1001)
          ? { kind, amount }
          : FIRST_BOARD.smoothing,
    most: MOST_CURVES.includes(given.most as number)
      ? (given.most as number)
      : FIRST_BOARD.most,
    selectedOnly: given.selectedOnly === true
  };
}

function isBetween(value: unknown, low: number, high: number): value is number {
  return typeof value === 'number' && value >= low && value <= high;
}

/**
 * Return cards for these columns: curves of well-known metrics, and the
 * relation of parameters to the first of them.
 */
export function firstCards(
  columns: readonly IRunColumnInfo[],
  varying: readonly string[]
): ICard[] {
  const runs = (metric: string) =>
    columns.find(({ column }) => column === `metrics.${metric}`)?.runs ?? 0;
  const all = metricsOf(columns);
  // Metrics of few runs are of little use.
  const metrics = all.filter(metric => runs(metric) >= runs(all[0]) / 2);
  const groups = chartGroups(metrics).map(([, keys]) => keys);
  // One of each group first: val_loss and accuracy before loss.
  const curves = [
    ...groups.map(keys => preferred(keys)),
    ...groups.flatMap(keys => keys.filter(key => key !== preferred(keys)))
  ].slice(0, 4);
  const cards: ICard[] = curves.map(metric => ({
    kind: 'curves',
    id: `curves-${metric}`,
    metric
  }));
  const [goal] = curves;
  const params = varying.filter(name => name.startsWith('params.'));
  if (goal && params.length > 0) {
    cards.push(
      {
        kind: 'parallel',
        id: 'parallel',
        columns: [...params.slice(0, 6), `metrics.${goal}`],
        wide: true
      },
      { kind: 'importance', id: 'importance', metric: goal },
      {
        kind: 'scatter',
        id: 'scatter',
        x: params[0],
        y: `metrics.${goal}`,
        ...(params[1] ? { color: params[1] } : {})
      }
    );
  }
  return cards;
}

function preferred(keys: readonly string[]): string {
  return (
    keys.find(key => /(^|[_/.-])(val|valid|test|eval)/i.test(key)) ?? keys[0]
  );
}

/**
 * Return metrics by name, those of most runs first; without the machine's own.
 */
export function metricsOf(columns: readonly IRunColumnInfo[]): string[] {
  return columns
    .filter(
      ({ column, runs }) =>
        runs > 0 &&
        column.startsWith('metrics.') &&
        !column.startsWith('metrics.system/')
    )
    .sort((a, b) => b.runs - a.runs)
    .slice(0, 200)
    .map(({ column }) => column.slice('metrics.'.length));
}

/** Return the columns that a card needs of each run. */
export function columnsOf(card: ICard): string[] {
  switch (card.kind) {
    case 'scatter':
      return [card.x, card.y, ...(card.color ? [card.color] : [])];
    case 'bar':
      return [card.value, ...(card.by ? [card.by] : [])];
    case 'parallel':
      return [...card.columns];
    default:
      return [];
  }
}
