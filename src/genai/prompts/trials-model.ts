import type { IDisposable } from '@lumino/disposable';
import { Signal } from '@lumino/signaling';

import type { components } from '../../api/generated';
import { Resource } from '../../core/resource';
import type { IGenOpsCore } from '../../core/tokens';
import type { ITask } from '../../tasks/service';
import { TasksService } from '../../tasks/service';
import { EndpointsService } from '../endpoints/service';
import type { IEndpoints } from '../endpoints/service';

type Schemas = components['schemas'];
export type INewTrial = Schemas['PromptTrial'];
export type ITrialCost = Schemas['TrialCost'];
export type ITrialSummary = Schemas['TrialSummary'];
export type ITrialRow = Schemas['TrialRow'];
export type ITrialAnswer = Schemas['TrialAnswer'];

/** The answers of a run on rows, and the task that asks for more. */
export interface ITrial {
  readonly table: Schemas['TrialTable'];
  readonly task: ITask | undefined;
}

const SUBJECT = 'prompt-trial:';
/** Answers above which a table is fetched at the end of its task alone. */
const MOST_LIVE = 500;

/** The runs of one prompt on rows, the answers of the chosen one, and the models that can answer. */
export class TrialsModel implements IDisposable {
  constructor(core: Pick<IGenOpsCore, 'api' | 'events' | 'trans'>) {
    const { api, events, trans } = core;
    this._api = api;
    this._tasks = new TasksService(api);
    this.list = new Resource<ITrialSummary[]>({
      fetch: signal => this._list(signal),
      events,
      kinds: ['prompt'],
      accepts: ({ id }) => !id || id === this._name,
      trans
    });
    this.chosen = new Resource<ITrial | null>({
      fetch: signal => this._get(signal),
      events,
      kinds: ['prompt', 'task'],
      accepts: ({ kind }) =>
        kind === 'prompt' ||
        (this.chosen.value?.table.wanted ?? 0) <= MOST_LIVE,
      isEmpty: found => found === null,
      trans
    });
    const endpoints = new EndpointsService(api);
    this.endpoints = new Resource<IEndpoints>({
      fetch: signal => endpoints.list(signal),
      events,
      kinds: ['endpoint', 'deployment'],
      isEmpty: found => found.endpoints.length === 0,
      trans
    });
  }

  readonly list: Resource<ITrialSummary[]>;
  readonly chosen: Resource<ITrial | null>;
  readonly endpoints: Resource<IEndpoints>;

  /** Show the runs of a prompt, the newest first. */
  show(name: string): void {
    if (name !== this._name) {
      this._name = name;
      this._id = '';
      void this.list.refresh();
      void this.chosen.refresh();
    }
  }

  /** The id of the chosen run; empty: the newest. */
  get id(): string {
    return this._id;
  }

  choose(id: string): Promise<void> {
    this._id = id;
    return this.chosen.refresh();
  }

  set visible(value: boolean) {
    this.list.visible = value;
    this.chosen.visible = value;
    this.endpoints.visible = value;
  }

  cost(body: INewTrial): Promise<ITrialCost> {
    const params = { path: { name: this._name } };
    return this._api.data(
      this._api.http.POST('/prompts/{name}/trials/cost', { params, body })
    );
  }

  /** Begin a run, and choose it. */
  async start(body: INewTrial): Promise<void> {
    const params = { path: { name: this._name } };
    const task = await this._api.data(
      this._api.http.POST('/prompts/{name}/trials', { params, body })
    );
    this._id = (task.subject ?? '').slice(SUBJECT.length);
    await Promise.all([this.list.refresh(), this.chosen.refresh()]);
  }

  /** Ask for the missing answers of a run. */
  async resume(trial: string): Promise<void> {
    const params = { path: { trial } };
    await this._api.data(
      this._api.http.POST('/prompt-trials/{trial}/resume', { params })
    );
    await this.chosen.refresh();
  }

  async cancel(task: string): Promise<void> {
    await this._tasks.cancel(task);
    await Promise.all([this.list.refresh(), this.chosen.refresh()]);
  }

  get isDisposed(): boolean {
    return this.list.isDisposed;
  }

  dispose(): void {
    this.list.dispose();
    this.chosen.dispose();
    this.endpoints.dispose();
    Signal.clearData(this);
  }

  private async _list(signal: AbortSignal): Promise<ITrialSummary[]> {
    if (!this._name) {
      return [];
    }
    const query = { name: this._name };
    const found = await this._api.data(
      this._api.http.GET('/prompt-trials', { params: { query }, signal })
    );
    return found.items;
  }

  private async _get(signal: AbortSignal): Promise<ITrial | null> {
    const trial = this._id || (await this._list(signal))[0]?.id;
    if (!trial) {
      return null;
    }
    const [table, tasks] = await Promise.all([
      this._api.data(
        this._api.http.GET('/prompt-trials/{trial}', {
          params: { path: { trial } },
          signal
        })
      ),
      this._tasks.list(signal)
    ]);
    const task = tasks.find(
      ({ subject, finished_at }) =>
        subject === SUBJECT + trial && finished_at === null
    );
    return { table, task };
  }

  private _api: IGenOpsCore['api'];
  private _tasks: TasksService;
  private _name = '';
  private _id = '';
}
