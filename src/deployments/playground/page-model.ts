import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { IGenOpsCore } from '../../core';
import { ApiError, Resource } from '../../core';
import { streamedItems } from '../../core/items';

import type { DeploymentsService, IRollout } from '../service';
import type { IAddress } from './addresses';
import { addressesOf, withComments } from './addresses';
import type { IInterface } from './body';
import { ChatModel } from './chat-model';
import type { INewChat, IPart } from './conversation';
import { LoadModel } from './load-model';
import type { IAnswer } from './problem';
import { RecordingModel } from './recording-model';

export type View = 'try' | 'load' | 'rollout' | 'addresses';

/** The page of a deployment: it is tried, its load is tested, its rollout and its addresses are seen. */
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
        this._addresses = addressesOf(found, api.serverSettings.baseUrl);
        this._changed.emit();
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
    this.recording = new RecordingModel(_core, name);
    this.chat = new ChatModel((body, signal) => this._ask(body, signal), trans);
  }

  /** What the deployment takes. */
  readonly shown: Resource<IInterface>;
  /** The last rollout; null without one. */
  readonly rollout: Resource<IRollout | null>;
  readonly load: LoadModel;
  readonly recording: RecordingModel;
  readonly chat: ChatModel;

  /** The addresses of the deployment, as they were when it was fetched last. */
  get addresses(): IAddress[] {
    return this._addresses;
  }

  /** The kind of the address in copied code. */
  get codeAddress(): IAddress['kind'] {
    return this._codeAddress;
  }
  set codeAddress(kind: IAddress['kind']) {
    this._codeAddress = kind;
    this._changed.emit();
  }

  /** Code for the chosen address, with what it needs. */
  code(make: (url: string) => string): string {
    const found = this._addresses.filter(each => each.address);
    const chosen =
      found.find(({ kind }) => kind === this._codeAddress) ?? found[0];
    const code = make(chosen?.address ?? '');
    return withComments(code, chosen, this._core.trans);
  }

  /** Emitted when another view is in front, or the addresses or the chosen one are others. */
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
    const { shown, rollout, load, recording, chat } = this;
    for (const each of [shown, rollout, load, recording, chat]) {
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
    this.shown.visible = front('try') || front('load') || front('addresses');
    this.load.visible = front('load');
    this.recording.visible = front('load');
    this.rollout.visible = front('rollout');
  }

  private _changed = new Signal<this, void>(this);
  private _addresses: IAddress[] = [];
  private _codeAddress: IAddress['kind'] = 'loopback';
  private _revision = 0;
  private _view: View = 'try';
  private _visible = false;
}
