import type { components } from '../api/generated';
import type { GenOpsApi } from '../core';

export type ITask = components['schemas']['Task'];

/** The operations of tasks. Each call rejects with an ApiError. */
export class TasksService {
  constructor(private _api: GenOpsApi) {}

  /** The latest tasks, newest first. */
  list(signal?: AbortSignal): Promise<ITask[]> {
    return this._api.data(this._api.http.GET('/tasks', { signal }));
  }

  get(id: string, signal?: AbortSignal): Promise<ITask> {
    return this._api.data(
      this._api.http.GET('/tasks/{task_id}', { ...path(id), signal })
    );
  }

  /** The last lines that a task wrote. */
  async log(id: string, signal?: AbortSignal): Promise<string[]> {
    const log = await this._api.data(
      this._api.http.GET('/tasks/{task_id}/log', {
        ...path(id),
        signal
      })
    );
    return log.lines;
  }

  cancel(id: string): Promise<ITask> {
    return this._api.data(
      this._api.http.POST('/tasks/{task_id}/cancel', path(id))
    );
  }
}

function path(id: string): { params: { path: { task_id: string } } } {
  return { params: { path: { task_id: id } } };
}
