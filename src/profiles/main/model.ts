import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import { Signal } from '@lumino/signaling';

import type { GenOpsEvents } from '../../core';
import { Resource } from '../../core';
import type { IFlame, IProfile, ProfilesService } from '../service';

/** A profile in the main area, and which of its views is seen. */
export class ProfileViewModel implements IDisposable {
  constructor(options: ProfileViewModel.IOptions) {
    const { id, service, events, trans } = options;
    this.id = id;
    this._tab = options.tab || 'overview';
    this.profile = new Resource({
      fetch: signal => service.get(id, signal),
      events,
      kinds: ['profile'],
      accepts: change => change.id === '' || change.id === id,
      trans
    });
    // What a trace says does not change: asked once, when its view is first seen.
    this.flame = new Resource({
      fetch: signal => service.flame(id, signal),
      trans
    });
  }

  readonly id: string;
  readonly profile: Resource<IProfile>;
  readonly flame: Resource<IFlame>;
  /** Emitted when another view is seen, or none. */
  readonly changed = new Signal<this, void>(this);

  get tab(): string {
    return this._tab;
  }
  set tab(value: string) {
    if (value !== this._tab) {
      this._tab = value;
      this.changed.emit();
    }
  }

  /** Whether the profile is seen at all. */
  get visible(): boolean {
    return this.profile.visible;
  }
  set visible(value: boolean) {
    if (value !== this.visible) {
      this.profile.visible = value;
      this.changed.emit();
    }
  }

  get isDisposed(): boolean {
    return this.profile.isDisposed;
  }

  dispose(): void {
    this.profile.dispose();
    this.flame.dispose();
    Signal.clearData(this);
  }

  private _tab: string;
}

export namespace ProfileViewModel {
  export interface IOptions {
    id: string;
    service: Pick<ProfilesService, 'get' | 'flame'>;
    events?: GenOpsEvents;
    trans: TranslationBundle;
    tab?: string;
  }
}
