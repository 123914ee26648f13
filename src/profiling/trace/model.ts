import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';

import type { IGenOpsCore } from '../../core';
import { ApiError, Resource } from '../../core';
import type { ITask } from '../../tasks/service';
import { TasksService } from '../../tasks/service';
import { ProfilesService } from '../service';

/** The server's kind of these tasks. */
const KIND = 'trace';

/** The last attempt to fetch a trace; `task` is null before the first one. */
export interface ITraceState {
  readonly task: ITask | null;
}

/**
 * The transfer of a profile's trace from a target, also one that another client
 * started.
 */
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

  /**
   * Start or continue the transfer. @returns the error if that is not possible.
   */
  start(): Promise<ApiError | null> {
    return this._attempt(() => this._profiles.fetchTrace(this._profileId));
  }

  /**
   * Cancel the transfer and delete the received part. @returns the error if
   * that is not possible.
   */
  cancel(): Promise<ApiError | null> {
    const { task } = this.state.value ?? {};
    return task
      ? this._attempt(() => this._tasks.cancel(task.id))
      : Promise.resolve(null);
  }

  get isDisposed(): boolean {
    return this.state.isDisposed;
  }

  dispose(): void {
    this.state.dispose();
  }

  private async _attempt(work: () => Promise<ITask>): Promise<ApiError | null> {
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
