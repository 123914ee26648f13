import type { IDisposable } from '@lumino/disposable';
import { Signal } from '@lumino/signaling';

import { ApiError } from '../../core';
import type { ICutQuery } from '../perfetto/service';

import type { IPlacedLane } from './lanes';
import { ROW_PX } from './lanes';
import { TileLoader } from './loader';
import type { IMarks, IMoment } from './marks';
import { aroundMoment } from './marks';
import { pick } from './picking';
import { Selection } from './selection';
import type { ITileKey, ITimelineRank } from './service';
import { TileCache, bytesOf, levelOf, shownTiles, tileLength } from './tiles';
import { WHOLE, stretchOf } from './viewport';
import type { IViewport } from './viewport';

const CACHE_BYTES = 64 * 2 ** 20;

/** The timeline of one profile: its data, the visible part, and the marks. */
export class TimelineModel extends Selection implements IDisposable {
  constructor(private _options: TimelineModel.IOptions) {
    super(_options);
    this._loader = this._newLoader();
  }

  cache = new TileCache(CACHE_BYTES);
  kinds = new Int8Array(0);
  marks: IMarks | null = null;
  /**
   * Ranks of the profile; empty if it has one trace, or before they are known.
   */
  ranks: readonly ITimelineRank[] = [];
  error: ApiError | null = null;

  /**
   * The rank of the timeline; null if the profile has one trace, or if all
   * ranks are shown.
   */
  get rank(): number | null {
    return this.timeline?.rank ?? this._rank;
  }

  /** The numbers of the ranks: from the profile, until a timeline is loaded. */
  get rankNumbers(): readonly number[] {
    return this.ranks.length > 0
      ? this.ranks.map(({ rank }) => rank)
      : (this._options.ranks ?? []);
  }

  /** Whether several ranks are shown on one clock. */
  get isTogether(): boolean {
    return this.rank === null && this.rankNumbers.length > 1;
  }

  /**
   * The rank for actions that need one: of the selection, or of the last click,
   * else the first.
   */
  get chosenRank(): number | null {
    if (!this.isTogether) {
      return this.rank;
    }
    const { details, range } = this;
    const lanes = details ? [details.slice.lane] : (range?.lanes ?? []);
    const ranks = new Set(
      lanes
        .map(lane => this.timeline?.lanes.find(each => each.lane === lane))
        .map(lane => lane?.rank ?? null)
    );
    const [selected = null] = ranks.size === 1 ? ranks : [];
    return selected ?? this._pointed ?? this.rankNumbers[0] ?? null;
  }

  /** Set the rank for such actions, if several are shown. */
  pointAt(rank: number | null): void {
    if (rank !== null && rank !== this._pointed) {
      this._pointed = rank;
      this._changed.emit();
    }
  }

  /** The start of a rank's own time, in nanoseconds of the shown time. */
  offsetOf(rank: number | null): number {
    const found = this.isTogether
      ? this.ranks.find(each => each.rank === rank)
      : undefined;
    return (found?.offset_us ?? 0) * 1000;
  }

  /** Show another rank, or all (null), over the whole time. */
  showRank(rank: number | null): void {
    if (rank === this.rank) {
      return;
    }
    this._leaveRank(rank);
    if (rank !== null && (this.marks?.rank ?? rank) !== rank) {
      this.marks = null;
    }
    this._options.onRank?.(rank);
    if (this._visible) {
      void this.load();
    } else {
      this._changed.emit();
    }
  }

  /** Whether tiles are loading. */
  get busy(): boolean {
    return this._loader.busy;
  }

  get visible(): boolean {
    return this._visible;
  }

  set visible(visible: boolean) {
    if (visible === this._visible) {
      return;
    }
    this._visible = visible;
    if (!visible) {
      this._loader.want([]);
      return;
    }
    if (this.timeline) {
      this._draw();
    } else {
      void this.load();
    }
  }

  async load(): Promise<void> {
    if (this._loading) {
      return;
    }
    this._loading = true;
    this.error = null;
    this._changed.emit();
    const { service, profileId } = this._options;
    const { signal } = this._left;
    try {
      const timeline = await service.timeline(profileId, this._rank, signal);
      if (signal.aborted) {
        return;
      }
      this.kinds = new Int8Array(bytesOf(timeline.kinds));
      this.ranks = timeline.ranks ?? [];
      this.enter(timeline);
      if (this.marks) {
        void this._showMoment(this.marks);
      }
    } catch (reason) {
      if (signal.aborted) {
        return;
      }
      this._fail(reason);
    }
    this._loading = false;
    this._emitChanges();
  }

  /** Retry after a failure. */
  retry(): void {
    this.error = null;
    if (this.timeline) {
      this._loader.retry();
      this._emitChanges();
    } else {
      void this.load();
    }
  }

  /** The tiles that the canvas needs of these lanes; fetches missing ones. */
  need(lanes: readonly IPlacedLane[]): ITileKey[] {
    const shown = lanes.map(lane => shownOf(this.view, lane));
    const beside = lanes.flatMap((lane, at) => besideOf(shown[at], lane));
    this._loader.want([...shown.flat(), ...beside]);
    return shown.flat();
  }

  override resize(width: number, height: number): void {
    super.resize(width, height);
    this._bringSelected();
  }

  /**
   * Keep the selection visible when its description takes space; for marks,
   * device lanes.
   */
  private _bringSelected(): void {
    const top = this.details ? this.topOf(this.details.slice) : null;
    const device = this.placed.lanes
      .filter(({ device, rank }) => {
        const marked = this.isTogether ? this.marks?.rank : rank;
        return device !== '' && (marked ?? rank) === rank;
      })
      .pop();
    if (top !== null) {
      this.bring(top, top + ROW_PX);
    } else if (this.marks && this.range && device) {
      this.bring(device.top, device.top + device.height);
    }
  }

  /** Whether the Perfetto UI is available. */
  get hasPerfetto(): boolean {
    // Perfetto opens one trace; with several, the timeline must be loaded to
    // choose one.
    const known = !this.isTogether || this.timeline !== null;
    return this._options.onPerfetto !== undefined && known;
  }

  /**
   * Show the selected period, or the visible one, of the chosen rank in the
   * Perfetto UI, with the selected slice.
   */
  openPerfetto(): void {
    if (!this.hasPerfetto) {
      return;
    }
    const slice = this.details?.slice;
    const rank = this.chosenRank;
    const begin = this.offsetOf(rank);
    const before = (slice && this.laneOf(slice)?.first_slice) || 0;
    const { first, last } = this.timeline
      ? stretchOf(this.view, this.range, slice, this.span)
      : WHOLE;
    const from = Math.max(0, first - begin);
    this._options.onPerfetto?.({
      first_us: from / 1000,
      // A rank may start after the visible time.
      last_us: Math.max(from + 1000, last - begin) / 1000,
      // Perfetto has no slices of counters.
      slice: slice && !this.details?.counter ? slice.slice - before : null,
      rank
    });
  }

  /**
   * Mark moments, go to the current one and sum what ran in it; null clears the
   * marks.
   */
  async mark(marks: IMarks | null): Promise<void> {
    if (marks && (marks.rank ?? null) !== null) {
      this.showRank(marks.together ? null : (marks.rank ?? null));
    }
    this.marks = marks;
    if (!marks) {
      this.clear();
    } else if (this.timeline) {
      await this._showMoment(marks);
    }
  }

  /** The marked moments, in the time of the timeline. */
  get moments(): readonly IMoment[] {
    const { moments = [], rank = null } = this.marks ?? {};
    const by = this.offsetOf(rank) / 1000;
    return moments.map(({ start_us, end_us }) => ({
      start_us: start_us + by,
      end_us: end_us + by
    }));
  }

  private async _showMoment({ at }: IMarks): Promise<void> {
    const moment = this.moments[at];
    this.showBetween(...aroundMoment(moment));
    const asked = this.selectRange({
      first: moment.start_us * 1000,
      last: moment.end_us * 1000,
      lanes: this.placed.lanes.map(({ lane }) => lane)
    });
    this._bringSelected();
    await asked;
  }

  /** Select a counter's sample at the middle of the view. */
  async selectCounter(lane: IPlacedLane): Promise<void> {
    const { view, placed, cache } = this;
    const found = pick(view.width / 2, lane.top, view, placed, cache);
    if (found) {
      await this.select(found.slice);
    }
  }

  /** Select the first visible slice, for users without a pointer. */
  async selectFirst(): Promise<void> {
    const { start, nsPerPx } = this.view;
    for (const lane of this.placed.lanes) {
      const shown = lane.top + lane.height > this.scroll;
      const own = start - lane.offset;
      for (const key of shown ? shownOf(this.view, lane) : []) {
        for (const tile of this.cache.best(key)) {
          const at = tile.count.findIndex(
            (count, place) =>
              count === 1 &&
              tile.first + tile.start[place] + tile.dur[place] >= own &&
              tile.first + tile.start[place] <= own + this.view.width * nsPerPx
          );
          if (at >= 0) {
            return this.select(tile.slice[at], true);
          }
        }
      }
    }
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    this._isDisposed = true;
    this._left.abort();
    this._asking?.abort();
    this._loader.dispose();
    Signal.clearData(this);
  }

  private _newLoader(): TileLoader {
    const { service, profileId } = this._options;
    const rank = this._rank;
    return new TileLoader({
      cache: this.cache,
      fetch: (keys, signal) => service.tiles(profileId, rank, keys, signal),
      onTiles: () => this._draw(),
      onError: reason => this._fail(reason)
    });
  }

  /** Clear all data of the previous rank. */
  private _leaveRank(rank: number | null): void {
    this._left.abort();
    this._left = new AbortController();
    this._loader.dispose();
    this._rank = rank;
    this.cache = new TileCache(CACHE_BYTES);
    this._loader = this._newLoader();
    this._loading = false;
    this.error = null;
    this.leave();
  }

  protected override _fail(reason: unknown): void {
    if (!this.isDisposed) {
      this.error = ApiError.from(reason, this._options.trans);
      this._changed.emit();
    }
  }

  private _loader: TileLoader;
  /** Aborts requests about the previous rank. */
  private _left = new AbortController();
  private _pointed: number | null = null;
  private _loading = false;
  private _visible = false;
  private _isDisposed = false;
}

export namespace TimelineModel {
  export interface IOptions extends Selection.IOptions {
    /** The profile's ranks: one can be chosen if the timeline of all fails. */
    ranks?: readonly number[];
    /** Called when another rank is shown. */
    onRank?: (rank: number | null) => void;
    /** Shows a period in the Perfetto UI. */
    onPerfetto?: (asked: ICutQuery) => void;
  }
}

/** The tiles that a view shows of a lane. */
export function shownOf(view: IViewport, lane: IPlacedLane): ITileKey[] {
  const level = levelOf(view);
  const [first, last] = shownTiles(
    { ...view, start: view.start - lane.offset },
    level,
    lane.first_us * 1000,
    lane.last_us * 1000
  ) ?? [0, -1];
  return Array.from({ length: last - first + 1 }, (_, at) => ({
    lane: lane.lane,
    level,
    index: first + at
  }));
}

/** One more tile on each side, so that a pan finds it loaded. */
export function besideOf(
  shown: readonly ITileKey[],
  lane: IPlacedLane
): ITileKey[] {
  if (shown.length === 0) {
    return [];
  }
  const { level } = shown[0];
  return [shown[0].index - 1, shown[shown.length - 1].index + 1]
    .filter(
      index =>
        index >= 0 &&
        index * tileLength(level) <= lane.last_us * 1000 &&
        (index + 1) * tileLength(level) > lane.first_us * 1000
    )
    .map(index => ({ lane: lane.lane, level, index }));
}
