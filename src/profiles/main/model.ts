import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import { Signal } from '@lumino/signaling';

import type { GenOpsEvents } from '../../core';
import { Resource } from '../../core';
import type { IAdvice, IFlame, IProfile, ProfilesService } from '../service';
import type { IMarks } from '../timeline/marks';

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

  /** What the timeline is to mark and go to. */
  get marks(): IMarks | null {
    return this._marks;
  }

  /** Show in the timeline what an advice rests on. */
  showMoments({ title, moments = [] }: IAdvice): void {
    this._marks = { title, moments, at: 0 };
    this._tab = 'timeline';
    this.changed.emit();
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
  private _marks: IMarks | null = null;
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
