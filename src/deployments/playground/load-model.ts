import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { components } from '../../api/generated';
import { ApiError, Resource } from '../../core';
import type { IGenOpsCore } from '../../core';

export type ILoadTest = components['schemas']['LoadTest'];
type ITask = components['schemas']['Task'];

/** The texts of the form of a load test. */
export interface ILoadForm {
  first: string;
  last: string;
  seconds: string;
  limit: string;
  /** A request as JSON, or one a line; empty: the example. */
  requests: string;
  /** Whether the recorded requests are sent in place of these. */
  recorded: boolean;
}

/** The load tests of a deployment, the one that runs, and the form that starts one. */
export class LoadModel {
  constructor(
    private _core: Pick<IGenOpsCore, 'api' | 'trans' | 'events'>,
    readonly name: string,
    private _path: () => string
  ) {
    const { api, trans, events } = _core;
    const params = { path: { name } };
    this.tests = new Resource<ILoadTest[]>({
      fetch: signal =>
        api.data(
          api.http.GET('/deployments/{name}/load-tests', { params, signal })
        ),
      events,
      trans
    });
    this.running = new Resource<ITask[]>({
      fetch: async signal => {
        const tasks = await api.data(api.http.GET('/tasks', { signal }));
        return tasks.filter(
          ({ kind, subject, state }) =>
            kind === 'load_test' &&
            subject === `deployment:${name}` &&
            state === 'running'
        );
      },
      events,
      kinds: ['task'],
      trans
    });
    let before = 0;
    this.running.changed.connect((_, { value }) => {
      const now = value?.length ?? before;
      if (now < before) {
        void this.tests.refresh(); // one has ended
      }
      before = now;
    });
  }

  readonly tests: Resource<ILoadTest[]>;
  readonly running: Resource<ITask[]>;

  set visible(visible: boolean) {
    this.tests.visible = visible;
    this.running.visible = visible;
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Why the last test did not start. */
  get error(): ApiError | undefined {
    return this._error;
  }

  async start(form: ILoadForm): Promise<void> {
    const { api, trans } = this._core;
    this._fail(undefined);
    const { recorded } = form;
    const own = !recorded && form.requests.trim() !== '';
    const requests = own ? readRequests(form.requests) : [];
    try {
      await api.data(
        api.http.POST('/deployments/{name}/load-tests', {
          params: { path: { name: this.name } },
          body: {
            first_rate: Number(form.first),
            last_rate: Number(form.last),
            seconds: Number(form.seconds),
            limit_ms: Number(form.limit),
            requests,
            source: requests.length > 0 ? trans.__('written in the panel') : '',
            path: this._path(),
            recorded
          }
        })
      );
      await this.running.refresh();
    } catch (reason) {
      this._fail(ApiError.from(reason, trans));
    }
  }

  async cancel(id: string): Promise<void> {
    const { api, trans } = this._core;
    try {
      await api.http.POST('/tasks/{task_id}/cancel', {
        params: { path: { task_id: id } }
      });
      await this.running.refresh();
    } catch (reason) {
      this._fail(ApiError.from(reason, trans));
    }
  }

  dispose(): void {
    this.tests.dispose();
    this.running.dispose();
    Signal.clearData(this);
  }

  private _fail(error: ApiError | undefined): void {
    this._error = error;
    this._changed.emit();
  }

  private _changed = new Signal<this, void>(this);
  private _error?: ApiError;
}

/** One JSON text over several lines, or one a line. */
export function readRequests(text: string): string[] {
  try {
    JSON.parse(text);
    return [text];
  } catch {
    return text.split('\n').filter(line => line.trim());
  }
}
