import { runColors } from '../table/run-color';
import type { RunSelection } from '../table/selection';
import { timeZone } from '../table/service';
import type {
  IQuestion,
  IRunColumnInfo,
  RunTableService
} from '../table/service';

import type { IBoard, ICard } from './cards';
import { columnsOf, firstCards } from './cards';
import type { IHistory } from './histories';
import { merged } from './histories';
import type { IRows } from './rows';
import { MOST_SHOWN, NO_ROWS, keptIfSame, readRows } from './rows';
import type { ChartsService, IHistoriesQuery, IImportance } from './service';
import { MOST_HISTORIES } from './service';

/** How long known columns stay valid, in ms. */
const COLUMNS_MS = 60_000;
/** Runs that are checked for differing parameters. */
const SAMPLE = 200;
const MOST_CANDIDATES = 40;
/** Buckets of all curves of a card: with many runs each gets fewer. */
const MOST_BUCKETS = 40_000;

const NO_HISTORIES: ReadonlyMap<string, IHistory> = new Map();

/** The request of the board. */
export interface IAsked {
  /** The runs and their order; its columns do not count. */
  readonly question: IQuestion;
  readonly board: IBoard;
  readonly selection: Pick<RunSelection, 'has' | 'count'>;
  readonly zoom: readonly [number, number] | null;
  /** Width of curves, in pixels. */
  readonly width: number;
  /**
   * Whether runs may have changed: otherwise known ones are not requested
   * again.
   */
  readonly stale: boolean;
}

/** The data of the cards, kept while newer data comes. */
export class ChartData {
  constructor(
    private _options: {
      runs: Pick<RunTableService, 'window' | 'columns'>;
      service: Pick<ChartsService, 'histories' | 'importance'>;
      /** Called when a part of the data has come. */
      onPart: () => void;
    }
  ) {}

  /** All existing columns. */
  columns: readonly IRunColumnInfo[] = [];
  /** The cards that suit the runs; null while unknown. */
  firstCards: ICard[] | null = null;
  /** The runs with curves, with name and status. */
  curveRuns: IRows = NO_ROWS;
  /** The runs of the other cards. */
  rows: IRows = NO_ROWS;
  importance: ReadonlyMap<string, IImportance> = new Map();

  histories(metric: string): ReadonlyMap<string, IHistory> {
    return this._histories.get(metric)?.runs ?? NO_HISTORIES;
  }

  /** Fetch the board's data. @throws ApiError */
  async fetch(asked: IAsked, signal: AbortSignal): Promise<void> {
    await this._fetchColumns(asked, signal);
    const cards = asked.board.cards ?? this.firstCards ?? [];
    const kinds = new Set(cards.map(({ kind }) => kind));
    if (kinds.has('curves')) {
      await this._fetchCurves(asked, cards, signal);
    }
    await Promise.all([
      this._fetchRows(asked, cards, signal),
      this._fetchImportance(asked, cards, signal)
    ]);
  }

  private async _fetchColumns(
    { question, board }: IAsked,
    signal: AbortSignal
  ): Promise<void> {
    const { runs } = this._options;
    const now = Date.now();
    if (this.columns.length > 0 && now - this._columnsAt < COLUMNS_MS) {
      return;
    }
    const { columns } = await runs.columns(signal);
    this.columns = columns;
    this._columnsAt = columns.length > 0 ? now : 0;
    if (board.cards || this.firstCards?.length) {
      return;
    }
    const candidates = columns
      .filter(({ column, runs }) => runs > 0 && column.startsWith('params.'))
      .sort((a, b) => b.runs - a.runs)
      .slice(0, MOST_CANDIDATES)
      .map(({ column }) => column);
    const sample = await runs.window(
      { ...question, query: '', columns: candidates },
      0,
      SAMPLE,
      signal
    );
    this.firstCards = firstCards(columns, tellingFirst(sample.columns));
  }

  private async _fetchCurves(
    asked: IAsked,
    cards: readonly ICard[],
    signal: AbortSignal
  ): Promise<void> {
    const { runs, service } = this._options;
    const { selection, zoom } = asked;
    const { most, selectedOnly, x, smoothing } = asked.board;
    const question = {
      ...asked.question,
      columns: ['run_name', 'status', 'start_time']
    };
    const known = this._known(asked, 'curves', most);
    if (selectedOnly && selection.count(Infinity) > 0) {
      this._questions.delete('curves');
      const all = await readRows(runs, question, MOST_SHOWN, signal);
      this.curveRuns = keptIfSame(
        this.curveRuns,
        chosen(all, id => selection.has(id), most)
      );
      this._color();
    } else if (!known.is) {
      this.curveRuns = keptIfSame(
        this.curveRuns,
        await readRows(runs, question, most, signal)
      );
      this._color();
      known.note();
    }
    const { ids } = this.curveRuns;
    const metrics = new Set(
      cards.flatMap(card => (card.kind === 'curves' ? [card.metric] : []))
    );
    for (const key of this._histories.keys()) {
      if (!metrics.has(key)) {
        this._histories.delete(key);
      }
    }
    const form: Omit<IHistoriesQuery, 'key' | 'run_ids' | 'marks'> = {
      x,
      smoothing,
      first: zoom?.[0] ?? null,
      last: zoom?.[1] ?? null,
      buckets: Math.max(
        Math.min(
          asked.width,
          Math.floor(MOST_BUCKETS / Math.max(ids.length, 1))
        ),
        100
      )
    };
    const formText = JSON.stringify(form);
    const history = (key: string) => {
      const found = this._histories.get(key);
      return found?.form === formText ? found : null;
    };
    const due = [...metrics].filter(
      key => asked.stale || history(key)?.ids !== ids
    );
    // Metrics without any data come first.
    due.sort(
      (a, b) => Number(history(a) !== null) - Number(history(b) !== null)
    );
    await Promise.all(
      due.map(async key => {
        const before = history(key)?.runs;
        const marks: Record<string, string> = {};
        for (const id of ids) {
          const mark = before?.get(id)?.mark;
          if (mark) {
            marks[id] = mark;
          }
        }
        const answer =
          ids.length === 0
            ? []
            : (
                await service.histories(
                  {
                    ...form,
                    key,
                    run_ids: ids.slice(0, MOST_HISTORIES),
                    marks
                  },
                  signal
                )
              ).histories;
        if (signal.aborted) {
          return;
        }
        if (before && answer.length === 0) {
          this._histories.set(key, { form: formText, ids, runs: before });
          return;
        }
        const now = new Map(before);
        for (const each of answer) {
          now.set(each.run_id, merged(before?.get(each.run_id), each));
        }
        this._histories.set(key, { form: formText, ids, runs: now });
        // Each card is drawn when its own answer comes.
        this._options.onPart();
      })
    );
  }

  private async _fetchRows(
    asked: IAsked,
    cards: readonly ICard[],
    signal: AbortSignal
  ): Promise<void> {
    const columns = [...new Set(cards.flatMap(columnsOf))];
    if (columns.length === 0) {
      this.rows = NO_ROWS;
      return;
    }
    const known = this._known(asked, 'rows', columns);
    if (known.is) {
      return;
    }
    const rows = await readRows(
      this._options.runs,
      { ...asked.question, columns: [...new Set(['run_name', ...columns])] },
      MOST_SHOWN,
      signal
    );
    if (!signal.aborted) {
      this.rows = keptIfSame(this.rows, rows);
      this._color();
      known.note();
    }
  }

  private async _fetchImportance(
    asked: IAsked,
    cards: readonly ICard[],
    signal: AbortSignal
  ): Promise<void> {
    const { experiments, query, lifecycle } = asked.question;
    const metrics = new Set(
      cards.flatMap(card => (card.kind === 'importance' ? [card.metric] : []))
    );
    const known = this._known(asked, 'importance', [...metrics]);
    if (known.is) {
      return;
    }
    const found = await Promise.all(
      [...metrics].map(metric =>
        this._options.service.importance(
          { metric, experiments, query, lifecycle, time_zone: timeZone() },
          signal
        )
      )
    );
    if (!signal.aborted) {
      known.note();
      this.importance = new Map(
        found.map(each => {
          const before = this.importance.get(each.metric);
          const isSame = JSON.stringify(before) === JSON.stringify(each);
          return [each.metric, before && isSame ? before : each];
        })
      );
    }
  }

  /** Runs with curves first: lines are harder to tell apart than points. */
  private _color(): void {
    runColors.show([...this.curveRuns.ids, ...this.rows.ids]);
  }

  /**
   * Return whether the answer to a question is known, and a function that marks
   * it as known.
   */
  private _known(
    { question, stale }: IAsked,
    part: 'curves' | 'rows' | 'importance',
    what: unknown
  ): { is: boolean; note: () => void } {
    const key = JSON.stringify([question, what]);
    return {
      is: !stale && this._questions.get(part) === key,
      note: () => this._questions.set(part, key)
    };
  }

  private _questions = new Map<string, string>();
  private _columnsAt = 0;
  /** By metric, with the form and the runs of the question. */
  private _histories = new Map<
    string,
    {
      form: string;
      ids: readonly string[];
      runs: ReadonlyMap<string, IHistory>;
    }
  >();
}

/**
 * Return the parameters that differ, numbers with many values before words; a
 * different word in each run is a name.
 */
function tellingFirst(
  columns: readonly { column: string; values: readonly unknown[] }[]
): string[] {
  return columns
    .map(({ column, values }) => {
      const words = new Set(values.filter(value => value !== null));
      const isNumber = [...words].every(word => !isNaN(Number(word)));
      return { column, isNumber, count: words.size, runs: values.length };
    })
    .filter(
      ({ isNumber, count, runs }) =>
        count > 1 && (isNumber || count < Math.max(runs * 0.5, 3))
    )
    .sort(
      (a, b) => Number(b.isNumber) - Number(a.isNumber) || b.count - a.count
    )
    .map(({ column }) => column);
}

/** Return some of the runs. */
function chosen(
  rows: IRows,
  wanted: (id: string) => boolean,
  most: number
): IRows {
  const places = rows.ids
    .flatMap((id, at) => (wanted(id) ? [at] : []))
    .slice(0, most);
  return {
    ids: places.map(at => rows.ids[at]),
    columns: new Map(
      [...rows.columns].map(([column, values]) => [
        column,
        places.map(at => values[at])
      ])
    ),
    matched: places.length
  };
}
