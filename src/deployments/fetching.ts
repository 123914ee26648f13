import type { TranslationBundle } from '@jupyterlab/translation';

import type { GenOpsEvents } from '../core';
import { ApiError, Resource } from '../core';

import type { DeploymentsService, IDeployable, ITask } from './service';

/** The files of a repository that must be fetched before a model can be checked. */
export class Fetching {
  constructor(
    private _service: DeploymentsService,
    /** The error that says so. */
    needed: ApiError,
    private _done: () => void,
    private _trans: TranslationBundle,
    events?: GenOpsEvents
  ) {
    this.message = needed.message;
    this.bytes = Number(needed.details.bytes);
    this._asked = needed.details.fetch as IDeployable;
    this.task = new Resource<ITask | null>({
      fetch: signal =>
        this._id ? this._service.task(this._id, signal) : Promise.resolve(null),
      events,
      kinds: ['task'],
      trans: _trans
    });
    let ended = false;
    this.task.changed.connect((_, { value }) => {
      if (value?.state === 'done' && !ended) {
        ended = true;
        this._done();
      }
    });
  }

  readonly message: string;
  readonly bytes: number;
  /** The task that fetches them; null before. */
  readonly task: Resource<ITask | null>;

  /** Why the last start failed. */
  error: ApiError | undefined;

  async start(): Promise<void> {
    this.error = undefined;
    try {
      this._id = (await this._service.fetch(this._asked)).id;
    } catch (reason) {
      this.error = ApiError.from(reason, this._trans);
    }
    await this.task.refresh();
  }

  async cancel(): Promise<void> {
    await this._service.cancel(this._id);
    await this.task.refresh();
  }

  private readonly _asked: IDeployable;
  private _id = '';
}
