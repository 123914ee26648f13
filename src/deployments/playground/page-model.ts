import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { IGenOpsCore } from '../../core';
import { ApiError, Resource } from '../../core';
import { streamedItems } from '../../core/items';

import type { DeploymentsService, IRollout } from '../service';
import type { IInterface } from './body';
import { ChatModel } from './chat-model';
import type { INewChat, IPart } from './conversation';
import { LoadModel } from './load-model';
import type { IAnswer } from './problem';

export type View = 'try' | 'load' | 'rollout';

/** The page of a deployment: it is tried, its load is tested, its rollout is seen. */
export class DeploymentPageModel {
  constructor(
    private _core: Pick<IGenOpsCore, 'api' | 'trans' | 'events'>,
    service: DeploymentsService,
    readonly name: string
  ) {
    const { api, trans, events } = _core;
    const params = { path: { name } };
    this.shown = new Resource<IInterface>({
      fetch: async signal => {
        const found = await api.data(
          api.http.GET('/deployments/{name}', { params, signal })
        );
        this._url = found.url ?? '';
        return api.data(
          api.http.GET('/deployments/{name}/interface', { params, signal })
        );
      },
      trans
    });
    this.rollout = new Resource<IRollout | null>({
      fetch: signal =>
        service.rollout(name, signal).catch((reason: unknown) => {
          if (ApiError.from(reason, trans).code === 'not_found') {
            return null;
          }
          throw reason;
        }),
      events,
      kinds: ['deployment'],
      isEmpty: value => value === null,
      trans
    });
    this.load = new LoadModel(
      _core,
      name,
      () => this.shown.value?.path ?? '/invocations'
    );
    this.chat = new ChatModel((body, signal) => this._ask(body, signal), trans);
  }

  /** What the deployment takes. */
  readonly shown: Resource<IInterface>;
  /** The last rollout; null without one. */
  readonly rollout: Resource<IRollout | null>;
  readonly load: LoadModel;
  readonly chat: ChatModel;

  /** The address of the deployment. */
  get url(): string {
    return this._url;
  }

  /** Emitted when another view is in front. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get view(): View {
    return this._view;
  }
  set view(view: View) {
    this._view = view;
    this._fetch();
    this._changed.emit();
  }

  get visible(): boolean {
    return this._visible;
  }
  set visible(visible: boolean) {
    this._visible = visible;
    this._fetch();
  }

  /** Send one request. */
  async send(body: string, path: string): Promise<IAnswer> {
    const { api } = this._core;
    const answer = await api.data(
      api.http.POST('/deployments/{name}/try', {
        params: { path: { name: this.name } },
        body: { body, path, content_type: 'application/json' }
      })
    );
    const { revision } = answer;
    if (this._revision && revision && revision !== this._revision) {
      void this.shown.refresh(); // another version may have another input
    }
    this._revision = revision;
    return answer;
  }

  dispose(): void {
    for (const each of [this.shown, this.rollout, this.load, this.chat]) {
      each.dispose();
    }
    Signal.clearData(this);
  }

  private async *_ask(
    body: INewChat,
    signal: AbortSignal
  ): AsyncGenerator<IPart> {
    const { api, trans } = this._core;
    const stream = await api.data(
      api.http.POST('/deployments/{name}/chat', {
        params: { path: { name: this.name } },
        body,
        signal,
        parseAs: 'stream'
      })
    );
    yield* streamedItems<IPart>(stream!, trans);
  }

  /** Fetch what the view in front shows, and nothing while the page is hidden. */
  private _fetch(): void {
    const front = (view: View) => this._visible && this._view === view;
    this.shown.visible = front('try') || front('load');
    this.load.visible = front('load');
    this.rollout.visible = front('rollout');
  }

  private _changed = new Signal<this, void>(this);
  private _url = '';
  private _revision = 0;
  private _view: View = 'try';
  private _visible = false;
}
