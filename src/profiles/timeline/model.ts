import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import { Signal } from '@lumino/signaling';

import { ApiError } from '../../core';

import type { ILayout, IPlacedLane } from './lanes';
import { ROW_PX, layout } from './lanes';
import { TileLoader } from './loader';
import type { IPicked } from './picking';
import type {
  IFoundSlices,
  ISliceDetails,
  ISums,
  ITileKey,
  ITimeline,
  ITimelineSlice,
  TimelineService
} from './service';
import { TileCache, bytesOf, levelOf, shownTiles } from './tiles';
import type { IViewport } from './viewport';
import * as viewport from './viewport';

const CACHE_BYTES = 64 * 2 ** 20;

/** A stretch of time on some lanes. Nanoseconds. */
export interface IRange {
  readonly first: number;
  readonly last: number;
  readonly lanes: readonly number[];
}

export interface ISearchState {
  readonly text: string;
  readonly regex: boolean;
  readonly found: IFoundSlices | null;
  readonly error: string;
}

/** The timeline of one profile: what is there, what is seen of it, and what is selected. */
export class TimelineModel implements IDisposable {
  constructor(private _options: TimelineModel.IOptions) {
    const { service, profileId } = _options;
    this._loader = new TileLoader({
      cache: this.cache,
      fetch: (keys, signal) => service.tiles(profileId, keys, signal),
      onTiles: () => this._draw(),
      onError: reason => this._fail(reason)
    });
  }

  readonly cache = new TileCache(CACHE_BYTES);
  timeline: ITimeline | null = null;
  kinds = new Int8Array(0);
  view: IViewport = { start: 0, nsPerPx: 1, width: 0 };
  placed: ILayout = { lanes: [], groups: [], height: 0 };
  scroll = 0;
  height = 0;
  details: ISliceDetails | null = null;
  range: IRange | null = null;
  sums: ISums | null = null;
  search: ISearchState = { text: '', regex: false, found: null, error: '' };
  /** Of each name, whether it is searched for. */
  matches: Uint8Array | null = null;
  error: ApiError | null = null;

  /** Something that is not on the canvas changed. */
  get changed(): Signal<this, void> {
    return this._changed;
  }

  /** The canvas is to be drawn anew. */
  get drawn(): Signal<this, void> {
    return this._drawn;
  }

  /** Nanoseconds from the first event to the last end. */
  get span(): number {
    return (this.timeline?.span_us ?? 0) * 1000;
  }

  /** Whether tiles are still to come. */
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
    try {
      const timeline = await service.timeline(profileId, this._ended.signal);
      this.timeline = timeline;
      this.kinds = new Int8Array(bytesOf(timeline.kinds));
      this._place();
      this.view = viewport.whole(this.span, this.view.width);
    } catch (reason) {
      this._fail(reason);
    } finally {
      this._loading = false;
    }
    this._told();
  }

  /** After a failure: what was asked for is asked for again. */
  retry(): void {
    this.error = null;
    if (this.timeline) {
      this._loader.retry();
      this._told();
    } else {
      void this.load();
    }
  }

  resize(width: number, height: number): void {
    const first = this.view.width === 0;
    this.height = height;
    this.view = first
      ? viewport.whole(this.span, width)
      : viewport.resized(this.view, width, this.span);
    this.scrollTo(this.scroll);
  }

  zoom(factor: number, x = this.view.width / 2): void {
    this._show(viewport.zoomed(this.view, factor, x, this.span));
  }

  pan(px: number): void {
    this._show(viewport.panned(this.view, px, this.span));
  }

  /** As it was at the begin of a drag, moved. */
  panTo(begun: IViewport, px: number): void {
    this._show(viewport.panned(begun, px, this.span));
  }

  showAll(): void {
    this._show(viewport.whole(this.span, this.view.width));
  }

  showBetween(first: number, last: number): void {
    this._show(viewport.between(first, last, this.view.width, this.span));
  }

  scrollTo(top: number): void {
    const most = Math.max(0, this.placed.height - this.height);
    this.scroll = Math.min(Math.max(0, Math.round(top)), most);
    this._draw();
  }

  toggle(lane: number): void {
    if (!this._collapsed.delete(lane)) {
      this._collapsed.add(lane);
    }
    this._place();
    this.scrollTo(this.scroll);
    this._changed.emit();
  }

  /** The tiles that the canvas needs now, those in the middle first; fetches what is missing. */
  need(lanes: readonly IPlacedLane[]): ITileKey[] {
    const level = levelOf(this.view);
    const keys: ITileKey[] = [];
    const beside: ITileKey[] = [];
    for (const lane of lanes) {
      const [first, last] = [lane.first_us * 1000, lane.last_us * 1000];
      const shown = shownTiles(this.view, level, first, last);
      if (!shown) {
        continue;
      }
      for (let index = shown[0]; index <= shown[1]; index++) {
        keys.push({ lane: lane.lane, level, index });
      }
      // One more on each side, so that a pan finds it there.
      for (const index of [shown[0] - 1, shown[1] + 1]) {
        const start = index * 512 * 2 ** level;
        if (index >= 0 && start <= last && start + 512 * 2 ** level > first) {
          beside.push({ lane: lane.lane, level, index });
        }
      }
    }
    this._loader.want([...keys, ...beside]);
    return keys;
  }

  /** Select what was picked: a slice, or the stretch that a run lies over. */
  async choose(picked: IPicked | null): Promise<void> {
    if (!picked) {
      this.clear();
    } else if (picked.count === 1) {
      await this.select(picked.slice);
    } else {
      await this.selectRange({
        first: picked.start,
        last: picked.start + picked.dur,
        lanes: [picked.lane.lane]
      });
    }
  }

  async select(slice: number, reveal = false): Promise<void> {
    const { service, profileId } = this._options;
    await this._ask(async signal => {
      const details = await service.slice(profileId, slice, signal);
      this.range = this.sums = null;
      this.details = details;
      if (reveal) {
        this.reveal(details.slice);
      }
    });
  }

  async selectRange(range: IRange): Promise<void> {
    const { service, profileId } = this._options;
    this.details = this.sums = null;
    this.range = range;
    this._told();
    await this._ask(async signal => {
      this.sums = await service.sums(
        profileId,
        {
          first_us: Math.max(0, range.first / 1000),
          last_us: Math.max(0, range.last / 1000),
          lanes: [...range.lanes]
        },
        signal
      );
    });
  }

  /** Draw a stretch while it is dragged out. */
  sketchRange(range: IRange): void {
    this.range = range;
    this.details = this.sums = null;
    this._draw();
  }

  clear(): void {
    this._asking?.abort();
    this.details = this.range = this.sums = null;
    this._told();
  }

  /** Find the next match after what is selected, or the one before. */
  async find(text: string, regex: boolean, backwards = false): Promise<void> {
    const { service, profileId, trans } = this._options;
    const same = text === this.search.text && regex === this.search.regex;
    this.search = {
      text,
      regex,
      found: same ? this.search.found : null,
      error: ''
    };
    if (!text) {
      this.matches = null;
      this._told();
      return;
    }
    await this._ask(
      async signal => {
        const after = this.details?.slice.slice ?? -1;
        const found = await service.search(
          profileId,
          { text, regex, after, backwards },
          signal
        );
        this.search = { text, regex, found, error: '' };
        this.matches = new Uint8Array(this.timeline?.names.length ?? 0);
        for (const name of new Int32Array(bytesOf(found.names))) {
          this.matches[name] = 1;
        }
        if (found.slice) {
          this.range = this.sums = null;
          this.details = await service.slice(
            profileId,
            found.slice.slice,
            signal
          );
          this.reveal(found.slice);
        }
      },
      reason => {
        const { message, hint } = ApiError.from(reason, trans);
        this.matches = null;
        this.search = {
          text,
          regex,
          found: null,
          error: `${message} ${hint}`.trim()
        };
      }
    );
  }

  /** Bring a slice into view, and near enough to be seen. */
  reveal(slice: ITimelineSlice): void {
    const lane = this.placed.lanes.find(each => each.lane === slice.lane);
    if (lane?.collapsed && slice.row > 0) {
      this.toggle(lane.lane);
    }
    const first = slice.start_us * 1000;
    const length = Math.max(slice.dur_us * 1000, 1);
    const shown = this.view.nsPerPx * this.view.width;
    const inside =
      first >= this.view.start && first + length <= this.view.start + shown;
    if (!inside || length < shown / 100) {
      const room = Math.min(
        Math.max(length * 10, 1000),
        Math.max(shown, length * 2)
      );
      this.showBetween(first + length / 2 - room, first + length / 2 + room);
    }
    const y = this.topOf(slice);
    if (
      y !== null &&
      (y < this.scroll || y + ROW_PX > this.scroll + this.height)
    ) {
      this.scrollTo(y - this.height / 2);
    }
  }

  /** Show a slice from side to side. */
  fit({ start_us, dur_us }: ITimelineSlice): void {
    this.showBetween(start_us * 1000, (start_us + dur_us) * 1000);
  }

  /** Select the first slice of what is seen, for those who have no pointer. */
  async selectFirst(): Promise<void> {
    const { start, nsPerPx } = this.view;
    for (const lane of this.placed.lanes) {
      const shown = lane.top + lane.height > this.scroll;
      for (const key of shown ? this.need([lane]) : []) {
        for (const tile of this.cache.best(key)) {
          const at = tile.count.findIndex(
            (count, place) =>
              count === 1 &&
              tile.first + tile.start[place] + tile.dur[place] >= start &&
              tile.first + tile.start[place] <=
                start + this.view.width * nsPerPx
          );
          if (at >= 0) {
            return this.select(tile.slice[at], true);
          }
        }
      }
    }
  }

  /** From the top of all lanes; null for a lane that is not there. */
  topOf(slice: ITimelineSlice): number | null {
    const lane = this.placed.lanes.find(each => each.lane === slice.lane);
    return lane
      ? lane.top + Math.min(slice.row, lane.shownRows - 1) * ROW_PX
      : null;
  }

  get isDisposed(): boolean {
    return this._ended.signal.aborted;
  }

  dispose(): void {
    this._ended.abort();
    this._asking?.abort();
    this._loader.dispose();
    Signal.clearData(this);
  }

  private _place(): void {
    this.placed = layout(this.timeline?.lanes ?? [], this._collapsed);
  }

  private _show(view: IViewport): void {
    this.view = view;
    this._draw();
  }

  /** One question at a time: the last one asked counts. */
  private async _ask(
    work: (signal: AbortSignal) => Promise<void>,
    onError: (reason: unknown) => void = reason => this._fail(reason)
  ): Promise<void> {
    this._asking?.abort();
    const { signal } = (this._asking = new AbortController());
    try {
      await work(signal);
    } catch (reason) {
      if (signal.aborted) {
        return;
      }
      onError(reason);
    }
    if (!signal.aborted) {
      this._told();
    }
  }

  private _fail(reason: unknown): void {
    if (!this.isDisposed) {
      this.error = ApiError.from(reason, this._options.trans);
      this._changed.emit();
    }
  }

  private _told(): void {
    this._changed.emit();
    this._draw();
  }

  private _draw(): void {
    this._drawn.emit();
  }

  private _loader: TileLoader;
  private _changed = new Signal<this, void>(this);
  private _drawn = new Signal<this, void>(this);
  private _collapsed = new Set<number>();
  private _asking: AbortController | null = null;
  private _ended = new AbortController();
  private _loading = false;
  private _visible = false;
}

export namespace TimelineModel {
  export interface IOptions {
    profileId: string;
    service: TimelineService;
    trans: TranslationBundle;
  }
}
