import type { Event } from '@jupyterlab/services';
import { nullTranslator } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';

import { CHANGED_SCHEMA, GenOpsEvents } from '../../core';
import { fakeLive } from '../../core/__tests__/fake-socket';
import { NO_MEDIA } from '../media/__tests__/support';
import type { MediaService } from '../media/service';
import { ExperimentsModel } from '../model';
import type {
  ExperimentsService,
  IExperiment,
  ILatestMetrics,
  IRun,
  IRunDetail,
  IRunMetrics,
  IRunOutput,
  IRunQuery,
  ISeries
} from '../service';
import { PAGE } from '../service';

export const trans = nullTranslator.load('genops_lab');

export function makeRun(number: number, part: Partial<IRun> = {}): IRun {
  return {
    run_id: `run${String(number).padStart(4, '0')}`,
    experiment_id: '1',
    experiment: 'digits',
    name: `fox-${number}`,
    status: 'FINISHED',
    started_at: 1000 + number,
    ended_at: 1100 + number,
    user: 'ada',
    params: { lr: '0.1' },
    metrics: { val_accuracy: 0.9, val_loss: 0.25, epoch: 3 },
    tags: {},
    source: 'work/train.ipynb',
    git_commit: '',
    git_dirty: false,
    ...part
  };
}

export function makeSeries(
  key: string,
  steps: number[],
  values: (number | null)[] = steps
): ISeries {
  return { key, steps, values, timestamps: steps.map(step => 5000 + step) };
}

/** A server in memory: what it has is what the calls answer. */
export class FakeServer {
  runs: IRun[] = [];
  experiments: IExperiment[] = [
    { id: '1', name: 'digits', created_at: null, updated_at: null }
  ];
  histories: ISeries[] = [];
  models: IRunDetail['models'] = [];
  artifacts: IRunDetail['artifacts'] = [];
  parent: IRunDetail['parent'] = null;
  children: IRunDetail['children'] = [];
  texts: IRunOutput['texts'] = [];
  stalled_s: () => ILatestMetrics['stalled_s'] = () => null;
  /** What the calls were, in order. */
  calls: string[] = [];
  failure: Error | null = null;
  revision = 0;
  stream = new Signal<this, Event.Emission>(this);

  readonly service: Pick<
    ExperimentsService,
    'experiments' | 'runs' | 'run' | 'metrics' | 'output' | 'latest'
  > = {
    experiments: () => this._answer('experiments', () => this.experiments),
    runs: (query: IRunQuery, token = '') =>
      this._answer(`runs ${query.experiment}|${query.filter}|${token}`, () => {
        const from = Number(token || 0);
        const next = from + PAGE;
        return {
          items: this.runs.slice(from, next),
          next: next < this.runs.length ? String(next) : ''
        };
      }),
    run: (id: string) =>
      this._answer(`run ${id}`, () => ({
        run: this.runs.find(run => run.run_id === id)!,
        models: this.models,
        artifacts: this.artifacts,
        latest: [],
        parent: this.parent,
        children: this.children,
        more_children: false,
        output: this.texts.length > 0,
        note: ''
      })),
    latest: (id: string) =>
      this._answer(`latest ${id}`, () => ({
        metrics: [],
        stalled_s: this.stalled_s()
      })),
    output: (run_id: string) =>
      this._answer(`output ${run_id}`, () => ({ run_id, texts: this.texts })),
    metrics: (id: string, after: number) =>
      this._answer(`metrics ${id} ${after}`, (): IRunMetrics => {
        const rest = this.histories.map(one => {
          const kept = one.steps.map(step => step > after);
          return {
            key: one.key,
            steps: one.steps.filter((_, index) => kept[index]),
            values: one.values.filter((_, index) => kept[index]),
            timestamps: one.timestamps.filter((_, index) => kept[index])
          };
        });
        const isSystem = ({ key }: ISeries) => key.startsWith('system/');
        return {
          run_id: id,
          series: rest.filter(one => !isSystem(one)),
          system: rest.filter(isSystem)
        };
      })
  };

  tell(kind: string, id = ''): void {
    this.stream.emit({
      schema_id: CHANGED_SCHEMA,
      kind,
      id,
      revision: ++this.revision
    });
  }

  /** The calls since the last time this was asked. */
  takeCalls(): string[] {
    return this.calls.splice(0);
  }

  model(): ExperimentsModel {
    return new ExperimentsModel({
      service: this.service as ExperimentsService,
      media: NO_MEDIA as MediaService,
      live: fakeLive(),
      events: new GenOpsEvents({ stream: this.stream }),
      trans
    });
  }

  private async _answer<T>(call: string, answer: () => T): Promise<T> {
    this.calls.push(call);
    await Promise.resolve();
    if (this.failure) {
      throw this.failure;
    }
    return answer();
  }
}
