import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import { Signal } from '@lumino/signaling';

import { ApiError } from '../../../core';

import type { IMemoryCurve } from './bands';
import { heldOf, momentOfKey, placeOf, pointAt, zoomed } from './bands';
import type {
  IMemoryMomentQuery,
  IMemoryMoment,
  IMemoryTimeline,
  MemoryService
} from './service';

/**
 * One device's memory: the visible period, the chosen moment and the
 * highlighted line.
 */
export class MemoryModel implements IDisposable {
  constructor(private _options: MemoryModel.IOptions) {
    this._held = heldOf(_options.timeline);
    this._at = this._held.peakAt;
  }

  /** Emitted when the model changed. */
  readonly changed = new Signal<this, void>(this);

  get curve(): IMemoryCurve {
    return this._held;
  }

  /** The chosen moment; its owners may still be loading. */
  get at(): number {
    return this._at;
  }

  get moment(): IMemoryMoment | null {
    return this._moment;
  }

  get error(): ApiError | null {
    return this._error;
  }

  /** The line that was selected. */
  get chosen(): number | null {
    return this._chosen;
  }

  /** The highlighted line: the one under the pointer, else the selected one. */
  get lit(): number | null {
    return this._pointed ?? this._chosen;
  }

  get isWhole(): boolean {
    const { at, moments } = this._held;
    return at[0] === 0 && at[at.length - 1] === moments - 1;
  }

  /** Choose a moment; the visible period moves there. */
  look(at: number): void {
    const { at: points, moments } = this._held;
    const [first, last] = this._shown ?? [points[0], points[points.length - 1]];
    if (at < first || at > last) {
      const length = last - first;
      const start = Math.max(
        0,
        Math.min(at - (length >> 1), moments - 1 - length)
      );
      this._show(start, start + length);
    }
    this._ask(at, { at });
  }

  /** Choose the last moment at a position of the axis. */
  lookAtPlace(place: number): void {
    const { curve } = this;
    if (curve.byTime) {
      // Only the server knows the moments between the points.
      this._ask(curve.at[pointAt(curve.x, place)], { us: Math.max(place, 0) });
    } else {
      this.look(Math.floor(Math.min(place, curve.at[curve.at.length - 1])));
    }
  }

  /**
   * Choose the moment that a key moves to. @returns whether the key has a
   * function here.
   */
  press(key: string): boolean {
    const to = momentOfKey(this._held, this._at, key);
    if (to !== null) {
      this.look(to);
    } else if (key === '+' || key === '=') {
      this.zoom(0.5);
    } else if (key === '-') {
      this.zoom(2);
    } else if (key === '0') {
      this.showAll();
    } else {
      return false;
    }
    return true;
  }

  /** Highlight the line under the pointer; null: none. */
  point(line: number | null): void {
    if (line !== this._pointed) {
      this._pointed = line;
      this.changed.emit();
    }
  }

  /** Select a line, or clear the selection. */
  choose(line: number): void {
    this._chosen = line === this._chosen ? null : line;
    const { bands, at } = this._held;
    const isKnown = bands.some(each => each.line === this._chosen);
    if (this._chosen !== null && this._chosen >= 0 && !isKnown) {
      this._show(at[0], at[at.length - 1]);
    }
    this.changed.emit();
  }

  /**
   * Show less (a factor below 1) or more around the chosen moment, or around
   * another one.
   */
  zoom(factor: number, around = this._at): void {
    // Base it on the period that is loading: a key that repeats asks again
    // before the answer.
    const period = this._shown
      ? { ...this._held, at: Int32Array.from(this._shown) }
      : this._held;
    this._show(...zoomed(period, factor, around));
  }

  showAll(): void {
    this._show(0, this._held.moments - 1);
  }

  /**
   * Memory in use at the chosen moment; until the answer comes, from the
   * picture.
   */
  get shownBytes(): number {
    const { curve, _moment: moment } = this;
    return moment?.at === this._at
      ? moment.held
      : curve.held[pointAt(curve.at, this._at)];
  }

  /** The time of the chosen moment, if it is known. */
  get place(): number {
    return placeOf(this._held, this._at);
  }

  get isDisposed(): boolean {
    return this._ended.signal.aborted;
  }

  dispose(): void {
    this._ended.abort();
    this._showing?.abort();
    Signal.clearData(this);
  }

  private _ask(at: number, query: IMemoryMomentQuery): void {
    this._at = at;
    this._wanted = query;
    this.changed.emit();
    if (!this._isAsking) {
      this._isAsking = true;
      void this._answer().finally(() => {
        this._isAsking = false;
      });
    }
  }

  /**
   * One request at a time, then the last one that was made meanwhile: a drag
   * makes more than can be shown.
   */
  private async _answer(): Promise<void> {
    const { service, profileId, trans } = this._options;
    while (this._wanted && !this.isDisposed) {
      const query = this._wanted;
      this._wanted = null;
      try {
        const { signal } = this._ended;
        const { number } = this._held;
        const found = await service.moment(profileId, number, query, signal);
        this._moment = found;
        this._error = null;
        if (!this._wanted) {
          this._at = found.at;
        }
      } catch (reason) {
        this._fail(reason, trans);
      }
      if (!this.isDisposed) {
        this.changed.emit();
      }
    }
  }

  private _show(first: number, last: number): void {
    this._showing?.abort();
    const { signal } = (this._showing = new AbortController());
    this._shown = [first, last];
    const { service, profileId, trans } = this._options;
    const line =
      this._chosen !== null && this._chosen >= 0 ? this._chosen : undefined;
    service
      .stretch(profileId, this._held.number, { first, last, line }, signal)
      .then(answer => {
        if (!signal.aborted) {
          this._held = heldOf(answer);
          this._shown = null;
          this._error = null;
          this.changed.emit();
        }
      })
      .catch((reason: unknown) => {
        if (!signal.aborted) {
          this._shown = null;
          this._fail(reason, trans);
          this.changed.emit();
        }
      });
  }

  private _fail(reason: unknown, trans: TranslationBundle): void {
    if (!this.isDisposed) {
      this._error = ApiError.from(reason, trans);
    }
  }

  private _held: IMemoryCurve;
  private _at: number;
  private _moment: IMemoryMoment | null = null;
  private _error: ApiError | null = null;
  private _chosen: number | null = null;
  private _pointed: number | null = null;
  private _wanted: IMemoryMomentQuery | null = null;
  private _isAsking = false;
  private _showing: AbortController | null = null;
  /** The period that is loading. */
  private _shown: [number, number] | null = null;
  private _ended = new AbortController();
}

export namespace MemoryModel {
  export interface IOptions {
    profileId: string;
    timeline: IMemoryTimeline;
    service: Pick<MemoryService, 'moment' | 'stretch'>;
    trans: TranslationBundle;
  }
}
