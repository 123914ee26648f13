import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';

import type { IGenOpsCore } from '../../core';
import { ApiError, Resource } from '../../core';
import type { ITask } from '../../tasks/service';
import { TasksService } from '../../tasks/service';
import { ProfilesService } from '../service';

/** What the server calls these tasks. */
const KIND = 'trace';

/** What was tried last of a trace; `task` is null before anything was. */
export interface ITraceState {
  readonly task: ITask | null;
}

/** The trace of a profile on its way from a target, also one that somebody else asked for. */
export class TraceFetch implements IDisposable {
  constructor(
    core: Pick<IGenOpsCore, 'api' | 'events' | 'trans'>,
    private _profileId: string
  ) {
    this._trans = core.trans;
    this._tasks = new TasksService(core.api);
    this._profiles = new ProfilesService(core.api);
    this.state = new Resource<ITraceState>({
      fetch: async signal => ({
        task: (await this._tasks.list(signal)).find(this._isOurs) ?? null
      }),
      events: core.events,
      kinds: ['task'],
      trans: core.trans
    });
  }

  readonly state: Resource<ITraceState>;

  /** Begin, or go on with what has begun. @returns why that cannot be. */
  start(): Promise<ApiError | null> {
    return this._told(() => this._profiles.fetchTrace(this._profileId));
  }

  /** End it; what has come is gone. @returns why that cannot be. */
  cancel(): Promise<ApiError | null> {
    const { task } = this.state.value ?? {};
    return task
      ? this._told(() => this._tasks.cancel(task.id))
      : Promise.resolve(null);
  }

  get isDisposed(): boolean {
    return this.state.isDisposed;
  }

  dispose(): void {
    this.state.dispose();
  }

  private async _told(work: () => Promise<ITask>): Promise<ApiError | null> {
    try {
      await work();
      return null;
    } catch (reason) {
      return ApiError.from(reason, this._trans);
    } finally {
      await this.state.refresh();
    }
  }

  private _isOurs = ({ kind, subject }: ITask): boolean =>
    kind === KIND && subject === `profile:${this._profileId}`;

  private _trans: TranslationBundle;
  private _tasks: TasksService;
  private _profiles: ProfilesService;
}
