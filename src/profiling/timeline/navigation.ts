import { Signal } from '@lumino/signaling';

import type { ILayout } from './lanes';
import { ROW_PX, groupsOf, isOnDevice, layout } from './lanes';
import type { ITimeline, ITimelineLane, ITimelineSlice } from './service';
import type { IViewport } from './viewport';
import * as viewport from './viewport';

/** Up to this many ranks, host threads are open at first. */
const FEW_RANKS = 2;

/**
 * The groups that are closed at first: host threads of many ranks, if there is
 * a device.
 */
function closedAtFirst({ lanes }: ITimeline): string[] {
  const onDevice = new Set(lanes.filter(isOnDevice).map(({ rank }) => rank));
  return onDevice.size > FEW_RANKS
    ? lanes
        .filter(lane => !isOnDevice(lane) && onDevice.has(lane.rank))
        .map(lane => groupsOf(lane)[1])
    : [];
}

/** The visible time and lanes of a timeline. */
export abstract class Navigation {
  timeline: ITimeline | null = null;
  view: IViewport = { start: 0, nsPerPx: 1, width: 0 };
  placed: ILayout = { lanes: [], groups: [], height: 0 };
  /** Pixels from the top of all lanes. */
  scroll = 0;
  /** Height of the lanes on the screen, in pixels. */
  height = 0;

  /** Emitted when something outside the canvas changed. */
  get changed(): Signal<this, void> {
    return this._changed;
  }

  /** Emitted when the canvas must be drawn again. */
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

  /** Show no timeline. */
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

  /** Move the view from its position at the start of a drag. */
  panTo(begun: IViewport, px: number): void {
    this._show(viewport.panned(begun, px, this.span));
  }

  showAll(): void {
    this._show(viewport.whole(this.span, this.view.width));
  }

  /** Show a period; before a timeline is loaded, it is remembered. */
  showBetween(first: number, last: number): void {
    this._wished = [first, last];
    this._showWished();
  }

  scrollTo(top: number): void {
    const most = Math.max(0, this.placed.height - this.height);
    this.scroll = Math.min(Math.max(0, Math.round(top)), most);
    this._draw();
  }

  /**
   * Scroll as little as possible to show these pixels, from the top of all
   * lanes.
   */
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

  /** The lane of a slice, also a hidden one. */
  laneOf({ lane }: ITimelineSlice): ITimelineLane | undefined {
    return this.timeline?.lanes.find(each => each.lane === lane);
  }

  /** Scroll to a slice and zoom until it is visible. */
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

  /** Show a slice over the full width. */
  fit({ start_us, dur_us }: ITimelineSlice): void {
    this.showBetween(start_us * 1000, (start_us + dur_us) * 1000);
  }

  /** Pixels from the top of all lanes; null for a hidden lane. */
  topOf(slice: ITimelineSlice): number | null {
    const lane = this.placed.lanes.find(each => each.lane === slice.lane);
    return lane
      ? lane.top + Math.min(slice.row, lane.shownRows - 1) * ROW_PX
      : null;
  }

  /** Emit both signals. */
  protected _emitChanges(): void {
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
