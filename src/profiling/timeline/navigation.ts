import { Signal } from '@lumino/signaling';

import type { ILayout } from './lanes';
import { ROW_PX, groupsOf, isOnDevice, layout } from './lanes';
import type { ITimeline, ITimelineLane, ITimelineSlice } from './service';
import type { IViewport } from './viewport';
import * as viewport from './viewport';

/** Of so many ranks together the hosts' threads are shown, too. */
const FEW_RANKS = 2;

/** The groups that are closed at first: of many ranks the host's threads, where there is a device to look at. */
function closedAtFirst({ lanes }: ITimeline): string[] {
  const onDevice = new Set(lanes.filter(isOnDevice).map(({ rank }) => rank));
  return onDevice.size > FEW_RANKS
    ? lanes
        .filter(lane => !isOnDevice(lane) && onDevice.has(lane.rank))
        .map(lane => groupsOf(lane)[1])
    : [];
}

/** Where in a timeline one is: which time and which lanes are seen. */
export abstract class Navigation {
  timeline: ITimeline | null = null;
  view: IViewport = { start: 0, nsPerPx: 1, width: 0 };
  placed: ILayout = { lanes: [], groups: [], height: 0 };
  /** Pixels from the top of all lanes. */
  scroll = 0;
  /** Pixels that lanes have on the screen. */
  height = 0;

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

  /** Show another timeline, all of it. */
  protected enter(timeline: ITimeline): void {
    this.timeline = timeline;
    this._closed = new Set(closedAtFirst(timeline));
    this._place();
    this.view = viewport.whole(this.span, this.view.width);
    this._showWished();
  }

  /** Show none. */
  protected leave(): void {
    this.timeline = null;
    this.scroll = 0;
    this._collapsed.clear();
    this._place();
  }

  resize(width: number, height: number): void {
    const first = this.view.width === 0;
    this.height = height;
    this.view = first
      ? viewport.whole(this.span, width)
      : viewport.resized(this.view, width, this.span);
    this._showWished();
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

  /** Before anything can be shown this is a wish, which is met when it can. */
  showBetween(first: number, last: number): void {
    this._wished = [first, last];
    this._showWished();
  }

  scrollTo(top: number): void {
    const most = Math.max(0, this.placed.height - this.height);
    this.scroll = Math.min(Math.max(0, Math.round(top)), most);
    this._draw();
  }

  /** Scroll as little as brings these pixels, from the top of all lanes, onto the screen. */
  protected bring(top: number, bottom: number): void {
    if (this.height > 0) {
      this.scrollTo(Math.min(top, Math.max(this.scroll, bottom - this.height)));
    }
  }

  toggle(lane: number): void {
    if (!this._collapsed.delete(lane)) {
      this._collapsed.add(lane);
    }
    this._place();
    this.scrollTo(this.scroll);
    this._changed.emit();
  }

  /** Close or open a group, by its key. */
  toggleGroup(key: string): void {
    if (!this._closed.delete(key)) {
      this._closed.add(key);
    }
    this._place();
    this.scrollTo(this.scroll);
    this._changed.emit();
  }

  /** Any lane, also one that is not shown. */
  laneOf({ lane }: ITimelineSlice): ITimelineLane | undefined {
    return this.timeline?.lanes.find(each => each.lane === lane);
  }

  /** Bring a slice into view, and near enough to be seen. */
  reveal(slice: ITimelineSlice): void {
    const hidden = this.laneOf(slice);
    if (hidden) {
      groupsOf(hidden)
        .filter(key => this._closed.has(key))
        .forEach(key => this.toggleGroup(key));
    }
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

  /** From the top of all lanes; null for a lane that is not there. */
  topOf(slice: ITimelineSlice): number | null {
    const lane = this.placed.lanes.find(each => each.lane === slice.lane);
    return lane
      ? lane.top + Math.min(slice.row, lane.shownRows - 1) * ROW_PX
      : null;
  }

  /** Both what is on the canvas and what is beside it changed. */
  protected _told(): void {
    this._changed.emit();
    this._draw();
  }

  protected _draw(): void {
    this._drawn.emit();
  }

  private _place(): void {
    this.placed = layout(this.timeline?.lanes ?? [], {
      lanes: this._collapsed,
      groups: this._closed
    });
  }

  private _showWished(): void {
    if (this._wished && this.timeline && this.view.width > 0) {
      const [first, last] = this._wished;
      this._wished = null;
      this._show(viewport.between(first, last, this.view.width, this.span));
    }
  }

  private _show(view: IViewport): void {
    this.view = view;
    this._draw();
  }

  protected _changed = new Signal<this, void>(this);
  private _drawn = new Signal<this, void>(this);
  private _collapsed = new Set<number>();
  private _closed = new Set<string>();
  private _wished: [first: number, last: number] | null = null;
}
