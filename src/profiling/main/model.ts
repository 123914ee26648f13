import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import { Signal } from '@lumino/signaling';

import type { GenOpsEvents } from '../../core';
import { Resource } from '../../core';
import type {
  IAdvice,
  IFlame,
  IKernelMetrics,
  IMeasuredKernel,
  IProfile,
  ProfilesService
} from '../service';
import type { IMarks } from '../timeline/marks';

import type { FlameGraph } from './flame/graph';

/** A call tree and the code that draws it, which loads with the first one. */
export interface IShownFlame {
  readonly flame: IFlame;
  readonly Graph: typeof FlameGraph;
}

/** A profile in the main area, and its selected view. */
export class ProfileViewModel implements IDisposable {
  constructor(options: ProfileViewModel.IOptions) {
    const { id, service, events, trans } = (this._options = options);
    this.id = id;
    this._tab = options.tab ?? '';
    this.profile = new Resource({
      fetch: signal => service.get(id, signal),
      events,
      kinds: ['profile'],
      accepts: change => change.id === '' || change.id === id,
      trans
    });
    this.profile.changed.connect(this._onProfile, this);
  }

  readonly id: string;
  readonly profile: Resource<IProfile>;
  /** Emitted when another view is visible, or none. */
  readonly changed = new Signal<this, void>(this);

  /** The selected view; empty: the first one. */
  get tab(): string {
    return this._tab;
  }
  set tab(value: string) {
    if (value !== this._tab) {
      this._tab = value;
      this.changed.emit();
    }
  }

  /**
   * The rank of the timeline and the flame graph; null: all ranks, or no choice
   * yet.
   */
  get rank(): number | null {
    return this._rank;
  }
  set rank(value: number | null) {
    if (value !== this._rank) {
      this._rank = value;
      this.changed.emit();
    }
  }

  /**
   * The call tree, of a rank if there are several. A trace does not change:
   * loaded once, when it is visible.
   */
  flame(rank: number | null): Resource<IShownFlame> {
    const { id, service, trans } = this._options;
    let flame = this._flames.get(rank);
    if (!flame) {
      flame = new Resource({
        fetch: async signal => {
          const [flame, { FlameGraph: Graph }] = await Promise.all([
            service.flame(id, rank, signal),
            import('./flame/graph')
          ]);
          return { flame, Graph };
        },
        trans
      });
      this._flames.set(rank, flame);
    }
    return flame;
  }

  /** All metrics of a kernel's longest launch. */
  kernelMetrics(
    { rank, longest }: Pick<IMeasuredKernel, 'rank' | 'longest'>,
    signal: AbortSignal
  ): Promise<IKernelMetrics> {
    const ranks = this.profile.value?.summary?.ranks ?? [];
    return this._options.service.kernelMetrics(
      this.id,
      ranks.length > 1 ? rank : null,
      longest,
      signal
    );
  }

  /** Moments that the timeline marks and shows. */
  get marks(): IMarks | null {
    return this._marks;
  }

  /**
   * Show the moments of an advice in the timeline: of its rank, or of all ranks
   * if it compares them.
   */
  showMoments({ code, title, moments = [], rank }: IAdvice): void {
    const ranks = this.profile.value?.summary?.ranks ?? [];
    const own = ranks.length > 1 ? rank : null;
    const together = code === 'straggler';
    this._marks = { title, moments, at: 0, rank: own, together };
    this.showTimeline(together ? null : own);
  }

  /** Show the timeline of a rank, or of all ranks. */
  showTimeline(rank: number | null): void {
    this._rank = rank;
    this._tab = 'timeline';
    this.changed.emit();
  }

  /** Whether the profile is visible. */
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
    this._flames.forEach(flame => flame.dispose());
    Signal.clearData(this);
  }

  /**
   * Retry requests that failed without the trace, when the trace has arrived.
   */
  private _onProfile(): void {
    const lies = this.profile.value?.trace_target ?? '';
    if (this._lies && !lies) {
      this._flames.forEach(flame => {
        if (flame.state === 'down') {
          void flame.refresh();
        }
      });
    }
    this._lies = lies;
  }

  private _lies = '';
  private _options: ProfileViewModel.IOptions;
  private _tab: string;
  private _rank: number | null = null;
  private _flames = new Map<number | null, Resource<IShownFlame>>();
  private _marks: IMarks | null = null;
}

export namespace ProfileViewModel {
  export interface IOptions {
    id: string;
    service: Pick<ProfilesService, 'get' | 'flame' | 'kernelMetrics'>;
    events?: GenOpsEvents;
    trans: TranslationBundle;
    tab?: string;
  }
}
