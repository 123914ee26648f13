import type { IDataConnector } from '@jupyterlab/statedb';
import type { Event } from '@jupyterlab/services';
import { nullTranslator } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';

import { CHANGED_SCHEMA, GenOpsEvents } from '../../../core';
import { fakeLive } from '../../../core/__tests__/fake-socket';
import { RunTableModel } from '../model';
import { ViewStore } from '../saved-views';
import type {
  IGrouping,
  IQuestion,
  IRunColumn,
  IRunTable,
  RunTableService
} from '../service';

export const trans = nullTranslator.load('genops_lab');

/** A run of the server in memory. */
export type FakeRun = Record<string, number | string | null>;

export interface ICall {
  question: IQuestion;
  offset: number;
  limit: number;
  signal?: AbortSignal;
  answer: () => void;
  fail: (reason: Error) => void;
}

/** The run table's server in memory. Answers wait for {@link answer} when they are `held`. */
export class FakeTable {
  constructor(count: number) {
    this.runs = Array.from({ length: count }, (_, index) => ({
      run_id: `run${index}`,
      run_name: `name ${index}`,
      status: 'FINISHED',
      start_time: 1000 - index,
      'metrics.loss': index / 10,
      'params.lr': String(index % 3),
      'params.same': 'x'
    }));
  }

  runs: FakeRun[];
  held = false;
  stalled_s: number | null = null;
  /** Which runs answer a query. */
  matches = (run: FakeRun, query: string) =>
    String(run.run_name).includes(query);
  version = 1;
  calls: ICall[] = [];
  changes: string[] = [];
  kept: unknown = undefined;
  stream = new Signal<this, Event.Emission>(this);
  private _revision = 0;

  readonly service = {
    window: (
      question: IQuestion,
      offset: number,
      limit: number,
      signal?: AbortSignal
    ) =>
      new Promise<IRunTable>((resolve, fail) => {
        const call: ICall = {
          question,
          offset,
          limit,
          signal,
          answer: () => resolve(this.table(question, offset, limit)),
          fail
        };
        this.calls.push(call);
        if (!this.held) {
          call.answer();
        }
      }),
    columns: async () => ({
      columns: Object.keys(this.runs[0])
        .filter(column => /^(metrics|params|tags)\./.test(column))
        .map(column => ({
          column,
          kind: column.startsWith('metrics')
            ? ('number' as const)
            : ('text' as const),
          runs: this.runs.filter(run => run[column] !== null).length
        })),
      state: this.state
    }),
    state: async () => this.state,
    completions: async () => [],
    delete: async (ids: string[]) => void this.changes.push(`delete ${ids}`),
    undelete: async (ids: string[]) =>
      void this.changes.push(`undelete ${ids}`),
    tag: async (ids: string[]) => void this.changes.push(`tag ${ids}`),
    analyze: async () => this.state
  };

  refreshing = false;

  get state(): IRunTable['state'] {
    return {
      version: this.version,
      complete: true,
      read: this.runs.length,
      total: this.runs.length,
      as_of: 1000,
      refreshing: this.refreshing,
      source: 'sqlite',
      problem: '',
      advice: []
    };
  }

  table(question: IQuestion, offset: number, limit: number): IRunTable {
    const { query, sort } = question;
    const found = this.runs.filter(run => !query || this.matches(run, query));
    for (const { column, descending } of [...sort].reverse()) {
      const key = (run: FakeRun) => Number(run[column] ?? 0);
      found.sort((a, b) => (key(a) - key(b)) * (descending ? -1 : 1));
    }
    if (question.groups) {
      return this._grouped(question, question.groups, found, offset, limit);
    }
    const rows = found.slice(offset, offset + limit);
    return {
      total: this.runs.length,
      matched: found.length,
      places: found.length,
      offset,
      run_ids: rows.map(run => String(run.run_id)),
      columns: question.columns.map((column): IRunColumn => ({
        column,
        kind: column.startsWith('metrics') ? 'number' : 'text',
        values: rows.map(run => run[column] ?? null)
      })),
      state: this.state,
      doubts: [],
      groups: []
    };
  }

  /** In groups of one level; a head has no values. */
  private _grouped(
    question: IQuestion,
    groups: IGrouping,
    found: FakeRun[],
    offset: number,
    limit: number
  ): IRunTable {
    const [by] = groups.by;
    const values = [...new Set(found.map(run => String(run[by])))].sort();
    const of = (value: string) => found.filter(run => run[by] === value);
    const places = groups.within.length
      ? groups.within.flatMap(([value]) => of(value!))
      : values.flatMap(value => {
          const turned = groups.turned.some(([each]) => each === value);
          const open = groups.open_levels > 0 !== turned;
          return [{ value, open }, ...(open ? of(value) : [])];
        });
    const rows = places.slice(offset, offset + limit);
    const isHead = (row: unknown): row is { value: string; open: boolean } =>
      typeof (row as { open?: unknown }).open === 'boolean';
    return {
      ...this.table({ ...question, groups: undefined, columns: [] }, 0, 0),
      matched: groups.within.length ? places.length : found.length,
      places: places.length,
      run_ids: rows.map(row => (isHead(row) ? '' : String(row.run_id))),
      columns: question.columns.map(column => ({
        column,
        kind: 'text',
        values: rows.map(row => (isHead(row) ? null : (row[column] ?? null)))
      })),
      groups: rows.flatMap((row, at) =>
        isHead(row)
          ? [
              {
                at,
                path: [row.value],
                runs: of(row.value).length,
                open: row.open,
                position: values.indexOf(row.value) + 1,
                siblings: values.length,
                spreads: {}
              }
            ]
          : []
      )
    };
  }

  /** Something changed. */
  tell(): void {
    this.version += 1;
    this.stream.emit({
      schema_id: CHANGED_SCHEMA,
      kind: 'run',
      id: '',
      revision: ++this._revision
    });
  }

  /** A model that is seen, with what was left by the one before. */
  model(): RunTableModel {
    const database = {
      fetch: async () => this.kept,
      save: async (_: string, value: unknown) => {
        this.kept = JSON.parse(JSON.stringify(value));
      }
    } as unknown as IDataConnector<unknown>;
    return new RunTableModel({
      service: this.service as unknown as RunTableService,
      experiments: async () => [],
      latest: async runId => {
        this.changes.push(`latest ${runId}`);
        return { metrics: [], stalled_s: this.stalled_s };
      },
      store: new ViewStore(null, database as never),
      events: new GenOpsEvents({ stream: this.stream }),
      live: fakeLive(),
      trans
    });
  }
}

/** A model that is seen and has its first rows. */
export async function opened(table: FakeTable): Promise<RunTableModel> {
  const model = table.model();
  model.visible = true;
  await new Promise<void>(resolve => {
    const look = () => {
      if (model.windows.snapshot.total !== null) {
        model.windows.changed.disconnect(look);
        resolve();
      }
    };
    model.windows.changed.connect(look);
  });
  await settled();
  return model;
}

/** Let all that was promised happen. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) {
    await Promise.resolve();
  }
}
