import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';

import type { components } from '../../api/generated';
import { Resource } from '../../core/resource';
import type { IGenOpsCore } from '../../core/tokens';

import type { ILabelContent, ILabelQueue } from './model';
import type { ScorerContents } from './scorer-file';

type Schemas = components['schemas'];
export type IFailureModes = Schemas['FailureModes'];
export type IFailureMode = Schemas['FailureMode'];
export type INoteGroup = Schemas['NoteGroup'];
export type INotedAnswer = Schemas['NotedAnswer'];
export type INewFailureMode = Schemas['NewFailureMode'];
export type IPlannedCalls = Schemas['PlannedCalls'];
export type IAddedRows = Schemas['AddedRows'];

/** The failure modes of one queue. Each method rejects with an ApiError. */
export class FailuresModel implements IDisposable {
  constructor(
    core: Pick<IGenOpsCore, 'api' | 'events' | 'trans'>,
    readonly contents: ScorerContents,
    readonly queue: ILabelQueue
  ) {
    const { api, events, trans } = core;
    this._api = api;
    this.trans = trans;
    this.modes = new Resource<IFailureModes>({
      fetch: signal =>
        api.data(
          api.http.GET('/label-queues/{id}/failure-modes', {
            params: this._params(),
            signal
          })
        ),
      events,
      kinds: ['label'],
      accepts: ({ id }) => !id || id === queue.id,
      trans
    });
  }

  readonly modes: Resource<IFailureModes>;
  readonly trans: TranslationBundle;

  get isDisposed(): boolean {
    return this.modes.isDisposed;
  }

  dispose(): void {
    this.modes.dispose();
  }

  /** Make a failure mode, or add answers to the one of this name. */
  async name(body: INewFailureMode): Promise<IFailureModes> {
    const found = await this._api.data(
      this._api.http.POST('/label-queues/{id}/failure-modes', {
        params: this._params(),
        body
      })
    );
    await this.modes.refresh();
    return found;
  }

  /** Give an answer one failure mode, in place of those that it has; an empty name: none. */
  async move(trace: string, name: string): Promise<void> {
    await this._api.data(
      this._api.http.PUT('/label-queues/{id}/items/{trace}/failure-mode', {
        params: { path: { id: this.queue.id, trace } },
        body: { name }
      })
    );
    await this.modes.refresh();
  }

  async describe(
    mode: string,
    name: string,
    description: string
  ): Promise<IFailureModes> {
    const found = await this._api.data(
      this._api.http.PUT('/label-queues/{id}/failure-modes/{mode}', {
        params: { path: { id: this.queue.id, mode } },
        body: { name, description }
      })
    );
    await this.modes.refresh();
    return found;
  }

  /** Make the answers of a failure mode rows of the data set with its name. */
  addRows(mode: string): Promise<IAddedRows> {
    return this._api.data(
      this._api.http.POST('/label-queues/{id}/failure-modes/{mode}/rows', {
        params: { path: { id: this.queue.id, mode } },
        body: { dataset: '' }
      })
    );
  }

  /** The models that can suggest groups. */
  async endpoints(): Promise<string[]> {
    const found = await this._api.data(this._api.http.GET('/endpoints'));
    return found.endpoints.map(({ name }) => name);
  }

  /** What a model's suggestion costs at most. */
  plan(endpoint: string): Promise<IPlannedCalls> {
    return this._api.data(
      this._api.http.POST('/label-queues/{id}/failure-groups/plan', {
        params: this._params(),
        body: { endpoint, embeddings: '' }
      })
    );
  }

  /** The groups that a model suggests. Nothing is kept. */
  async suggest(endpoint: string, signal: AbortSignal): Promise<INoteGroup[]> {
    const found = await this._api.data(
      this._api.http.POST('/label-queues/{id}/failure-groups', {
        params: this._params(),
        body: { endpoint, embeddings: '' },
        signal
      })
    );
    return found.suggested ?? [];
  }

  content(trace: string): Promise<ILabelContent> {
    return this._api.data(
      this._api.http.GET('/label-queues/{id}/items/{trace}', {
        params: { path: { id: this.queue.id, trace } }
      })
    );
  }

  private _params(): { path: { id: string } } {
    return { path: { id: this.queue.id } };
  }

  private _api: IGenOpsCore['api'];
}
