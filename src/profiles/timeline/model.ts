import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import { Signal } from '@lumino/signaling';

import { ApiError } from '../../core';
import type { ICutQuery } from '../perfetto/service';

import type { IPlacedLane } from './lanes';
import { ROW_PX } from './lanes';
import { TileLoader } from './loader';
import type { IMarks } from './marks';
import { aroundMoment } from './marks';
import { Navigation } from './navigation';
import type { IPicked } from './picking';
import type {
  IFoundSlices,
  ISliceDetails,
  ISums,
  ITileKey,
  TimelineService
} from './service';
import { TileCache, bytesOf, levelOf, shownTiles, tileLength } from './tiles';
import type { IRange } from './viewport';
import { WHOLE, stretchOf } from './viewport';

const CACHE_BYTES = 64 * 2 ** 20;

export interface ISearchState {
  readonly text: string;
  readonly regex: boolean;
  readonly found: IFoundSlices | null;
  readonly error: string;
}

/** The timeline of one profile: what is there, what is seen of it, and what is selected. */
export class TimelineModel extends Navigation implements IDisposable {
  constructor(private _options: TimelineModel.IOptions) {
    super();
    const { service, profileId } = _options;
    this._loader = new TileLoader({
      cache: this.cache,
      fetch: (keys, signal) => service.tiles(profileId, keys, signal),
      onTiles: () => this._draw(),
      onError: reason => this._fail(reason)
    });
  }

  readonly cache = new TileCache(CACHE_BYTES);
  kinds = new Int8Array(0);
  details: ISliceDetails | null = null;
  range: IRange | null = null;
  sums: ISums | null = null;
  marks: IMarks | null = null;
  search: ISearchState = { text: '', regex: false, found: null, error: '' };
  /** Of each name, whether it is searched for. */
  matches: Uint8Array | null = null;
  error: ApiError | null = null;

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
      this.kinds = new Int8Array(bytesOf(timeline.kinds));
      this.enter(timeline);
      if (this.marks) {
        void this._showMoment(this.marks);
      }
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

  /** The tiles that the canvas needs of these lanes now; fetches what is missing. */
  need(lanes: readonly IPlacedLane[]): ITileKey[] {
    const shown = lanes.flatMap(lane => this._shown(lane));
    const level = levelOf(this.view);
    // One more on each side, so that a pan finds it there.
    const beside = lanes.flatMap(lane => {
      const own = shown.filter(key => key.lane === lane.lane);
      return own.length === 0
        ? []
        : [own[0].index - 1, own[own.length - 1].index + 1]
            .filter(
              index =>
                index >= 0 &&
                index * tileLength(level) <= lane.last_us * 1000 &&
                (index + 1) * tileLength(level) > lane.first_us * 1000
            )
            .map(index => ({ lane: lane.lane, level, index }));
    });
    this._loader.want([...shown, ...beside]);
    return shown;
  }

  private _shown(lane: IPlacedLane): ITileKey[] {
    const level = levelOf(this.view);
    const [first, last] = shownTiles(
      this.view,
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

  override resize(width: number, height: number): void {
    super.resize(width, height);
    this._bringSelected();
  }

  /** What is selected stays seen when its description takes room; of marks that is what ran on devices. */
  private _bringSelected(): void {
    const top = this.details ? this.topOf(this.details.slice) : null;
    const device = this.placed.lanes.filter(each => each.device !== '').pop();
    if (top !== null) {
      this.bring(top, top + ROW_PX);
    } else if (this.marks && this.range && device) {
      this.bring(device.top, device.top + device.height);
    }
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

  /** Whether there is a Perfetto UI to go to. */
  get hasPerfetto(): boolean {
    return this._options.onPerfetto !== undefined;
  }

  /** Look at the selected stretch, or at what is seen, in the Perfetto UI; the selected slice is selected there. */
  openPerfetto(): void {
    const slice = this.details?.slice;
    const { first, last } = this.timeline
      ? stretchOf(this.view, this.range, slice, this.span)
      : WHOLE;
    this._options.onPerfetto?.({
      first_us: first / 1000,
      last_us: last / 1000,
      slice: slice?.slice ?? null
    });
  }

  /** Mark moments, go to the one that is looked at and sum what ran in it; null takes the marks away. */
  async mark(marks: IMarks | null): Promise<void> {
    this.marks = marks;
    if (!marks) {
      this.clear();
    } else if (this.timeline) {
      await this._showMoment(marks);
    }
  }

  private async _showMoment({ moments, at }: IMarks): Promise<void> {
    const moment = moments[at];
    this.showBetween(...aroundMoment(moment));
    const asked = this.selectRange({
      first: moment.start_us * 1000,
      last: moment.end_us * 1000,
      lanes: this.placed.lanes.map(({ lane }) => lane)
    });
    this._bringSelected();
    await asked;
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

  /** Select the first slice of what is seen, for those who have no pointer. */
  async selectFirst(): Promise<void> {
    const { start, nsPerPx } = this.view;
    for (const lane of this.placed.lanes) {
      const shown = lane.top + lane.height > this.scroll;
      for (const key of shown ? this._shown(lane) : []) {
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

  get isDisposed(): boolean {
    return this._ended.signal.aborted;
  }

  dispose(): void {
    this._ended.abort();
    this._asking?.abort();
    this._loader.dispose();
    Signal.clearData(this);
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

  private _loader: TileLoader;
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
    /** Shows a stretch in the Perfetto UI. */
    onPerfetto?: (asked: ICutQuery) => void;
  }
}
