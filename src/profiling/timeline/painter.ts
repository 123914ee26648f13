import type { ITheme } from './colors';
import { CounterRaster, scaleOf } from './counters';
import type { IPlacedLane } from './lanes';
import { COUNTER_PX, ROW_PX } from './lanes';
import type { TimelineModel } from './model';
import { LaneRaster } from './raster';
import type { ITimelineSlice } from './service';
import { arrowsOf, sameOn } from './flow-links';
import { tileLength } from './tiles';
import type { ITile } from './tiles';
import { formatTick, tickStep } from './viewport';

export const AXIS_PX = 22;
const ROW_GAP_PX = 1;
const FONT_PX = 11;
/** Least width of a name, in pixels. */
const NAME_PX = 28;
const TICK_PX = 110;
const MARK_PX = 3;

/**
 * Draws a timeline on a canvas: pixels of slices first, then names and marks.
 */
export class Painter {
  constructor(private _canvas: HTMLCanvasElement) {
    this._context = _canvas.getContext('2d', { alpha: false });
  }

  paint(model: TimelineModel, theme: ITheme, ratio: number): void {
    const context = this._context;
    const width = Math.round(model.view.width * ratio);
    const height = Math.round((model.height + AXIS_PX) * ratio);
    if (!context || width < 1 || height < 1) {
      return;
    }
    const { _canvas: canvas } = this;
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
      this._image = null;
    }
    const lanes = model.placed.lanes.filter(
      lane =>
        lane.top + lane.height > model.scroll &&
        lane.top < model.scroll + model.height
    );
    const tiles = this._fill(model, lanes, theme, ratio);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.save();
    context.beginPath();
    context.rect(0, AXIS_PX, model.view.width, model.height);
    context.clip();
    this._ranks(model, theme);
    this._names(model, lanes, tiles, theme);
    this._marks(model, theme);
    this._selected(model, theme);
    context.restore();
    this._axis(model, theme);
  }

  private _fill(
    model: TimelineModel,
    lanes: readonly IPlacedLane[],
    theme: ITheme,
    ratio: number
  ): Map<IPlacedLane, Set<ITile>> {
    const { width, height } = this._canvas;
    this._image ??= this._context!.createImageData(width, height);
    const picture = new Uint32Array(this._image.data.buffer);
    picture.fill(theme.backgroundPixel);
    const { start, nsPerPx } = model.view;
    const pxPerNs = ratio / nsPerPx;
    const keys = model.need(lanes);
    const found = new Map<IPlacedLane, Set<ITile>>();
    for (const lane of lanes) {
      const { counter } = lane;
      if (counter) {
        this._counters.begin(width);
      } else {
        this._raster.begin(lane.shownRows, width, theme.backgroundPixel);
      }
      const used = new Set<ITile>();
      const origin = (lane.offset - start) * pxPerNs;
      for (const key of keys) {
        if (key.lane !== lane.lane) {
          continue;
        }
        const from = origin + key.index * tileLength(key.level) * pxPerNs;
        const to = from + tileLength(key.level) * pxPerNs;
        for (const tile of model.cache.best(key)) {
          const stretch = { origin, pxPerNs, from, to };
          if (counter) {
            this._counters.add(tile, stretch);
          } else {
            this._raster.add(tile, stretch, theme, model.matches);
            used.add(tile);
          }
        }
      }
      const top = Math.round((AXIS_PX + lane.top - model.scroll) * ratio);
      if (counter) {
        this._counters.copy(
          picture,
          height,
          top,
          Math.round(lane.height * ratio),
          Math.round(ratio),
          scaleOf(counter),
          theme.counter
        );
      } else {
        this._raster.copy(
          picture,
          height,
          top,
          Math.round(ROW_PX * ratio),
          Math.round(ROW_GAP_PX * ratio)
        );
      }
      found.set(lane, used);
    }
    this._context!.putImageData(this._image, 0, 0);
    return found;
  }

  private _names(
    model: TimelineModel,
    lanes: readonly IPlacedLane[],
    tiles: Map<IPlacedLane, Set<ITile>>,
    theme: ITheme
  ): void {
    const context = this._context!;
    const names = model.timeline?.names ?? [];
    const { start, nsPerPx, width } = model.view;
    context.font = `${FONT_PX}px ${theme.font}`;
    context.textBaseline = 'middle';
    context.textAlign = 'start';
    for (const lane of lanes) {
      const top = AXIS_PX + lane.top - model.scroll + ROW_PX / 2;
      const written = new Set<number>();
      const own = start - lane.offset;
      for (const tile of tiles.get(lane) ?? []) {
        const { row, dur, name, count, slice } = tile;
        for (let at = 0; at < row.length; at++) {
          if (dur[at] < NAME_PX * nsPerPx || row[at] >= lane.shownRows) {
            continue;
          }
          const left = (tile.first + tile.start[at] - own) / nsPerPx;
          const from = Math.max(left, 0);
          const room = Math.min(left + dur[at] / nsPerPx, width) - from - 6;
          // A slice over several tiles is in each of them.
          if (room < NAME_PX - 6 || count[at] > 1 || written.has(slice[at])) {
            continue;
          }
          written.add(slice[at]);
          const dim = model.matches && !model.matches[name[at]];
          context.fillStyle = dim ? theme.faint : theme.textOn[name[at]];
          context.fillText(
            this._fitting(names[name[at]], room, theme.font),
            from + 3,
            top + row[at] * ROW_PX
          );
        }
      }
    }
  }

  /** A line above each rank. */
  private _ranks({ placed, view, scroll }: TimelineModel, theme: ITheme): void {
    this._context!.fillStyle = theme.grid;
    for (const { kind, top } of placed.groups) {
      if (kind === 'rank') {
        this._context!.fillRect(0, AXIS_PX + top - scroll, view.width, 1);
      }
    }
  }

  /** The part of a name that fits. */
  private _fitting(name: string, room: number, font: string): string {
    if (font !== this._measuredFont) {
      this._measured.clear();
      this._measuredFont = font;
    }
    let width = this._measured.get(name);
    if (width === undefined) {
      width = this._context!.measureText(name).width;
      this._measured.set(name, width);
    }
    if (width <= room) {
      return name;
    }
    const kept = Math.floor(((room - FONT_PX) / width) * name.length);
    return kept > 0 ? `${name.slice(0, kept)}…` : '';
  }

  /** Moments as bands over all lanes, each wide enough to be visible. */
  private _marks(model: TimelineModel, theme: ITheme): void {
    const { view, height } = model;
    const context = this._context!;
    context.fillStyle = theme.accent;
    model.moments.forEach(({ start_us, end_us }) => {
      const left = (start_us * 1000 - view.start) / view.nsPerPx;
      const width = ((end_us - start_us) * 1000) / view.nsPerPx;
      context.globalAlpha = 0.08;
      context.fillRect(left, AXIS_PX, Math.max(width, MARK_PX), height);
      context.globalAlpha = 1;
      context.fillRect(left, AXIS_PX, Math.max(width, MARK_PX), MARK_PX);
    });
  }

  private _selected(model: TimelineModel, theme: ITheme): void {
    const context = this._context!;
    const { details, range, view } = model;
    context.strokeStyle = context.fillStyle = theme.accent;
    if (range) {
      const left = (range.first - view.start) / view.nsPerPx;
      const width = (range.last - range.first) / view.nsPerPx;
      for (const lane of model.placed.lanes) {
        if (range.lanes.includes(lane.lane)) {
          const top = AXIS_PX + lane.top - model.scroll;
          context.globalAlpha = 0.2;
          context.fillRect(left, top, width, lane.height);
          context.globalAlpha = 1;
          context.strokeRect(left, top, width, lane.height);
        }
      }
    }
    if (details) {
      arrowsOf(details).forEach(([from, to]) => this._flow(model, from, to));
      this._ties(model, sameOn(details));
      this._frame(model, details.slice, theme);
    }
  }

  private _frame(
    model: TimelineModel,
    slice: ITimelineSlice,
    theme: ITheme
  ): void {
    const context = this._context!;
    const box = boxOf(model, slice);
    if (box) {
      const width = Math.max(box.width, 3);
      context.lineWidth = 3;
      context.strokeStyle = theme.background;
      context.strokeRect(box.left, box.top, width, box.height);
      context.lineWidth = 2;
      context.strokeStyle = theme.text;
      context.strokeRect(box.left, box.top, width, box.height);
    }
  }

  /**
   * A line along the starts of one collective on several ranks, and a fainter
   * one along its ends.
   */
  private _ties(model: TimelineModel, slices: readonly ITimelineSlice[]): void {
    const context = this._context!;
    const boxes = slices
      .flatMap(slice => boxOf(model, slice) ?? [])
      .sort((one, other) => one.top - other.top);
    for (const [share, alpha] of [
      [0, 1],
      [1, 0.4]
    ]) {
      context.globalAlpha = alpha;
      context.lineWidth = 1.5;
      context.beginPath();
      for (const { left, top, width, height } of boxes) {
        context.lineTo(left + share * width, top);
        context.lineTo(left + share * width, top + height);
      }
      context.stroke();
    }
    context.globalAlpha = 1;
  }

  /** An arrow from a slice to a linked one. */
  private _flow(
    model: TimelineModel,
    from: ITimelineSlice,
    to: ITimelineSlice
  ): void {
    const [one, other] = [boxOf(model, from), boxOf(model, to)];
    if (!one || !other) {
      return;
    }
    const context = this._context!;
    const [x0, y0] = [one.left + one.width / 2, one.top + ROW_PX / 2];
    const [x1, y1] = [other.left, other.top + ROW_PX / 2];
    const bend = Math.max(20, Math.abs(x1 - x0) / 2);
    context.lineWidth = 1.5;
    context.beginPath();
    context.moveTo(x0, y0);
    context.bezierCurveTo(x0 + bend, y0, x1 - bend, y1, x1, y1);
    context.stroke();
    context.beginPath();
    context.moveTo(x1, y1);
    context.lineTo(x1 - 7, y1 - 4);
    context.lineTo(x1 - 7, y1 + 4);
    context.fill();
  }

  private _axis(model: TimelineModel, theme: ITheme): void {
    const context = this._context!;
    const { view } = model;
    context.fillStyle = theme.background;
    context.fillRect(0, 0, view.width, AXIS_PX);
    context.fillStyle = theme.text;
    context.strokeStyle = theme.grid;
    context.lineWidth = 1;
    context.font = `${FONT_PX}px ${theme.font}`;
    context.textBaseline = 'middle';
    const step = tickStep(view, TICK_PX);
    const last = view.start + view.width * view.nsPerPx;
    context.beginPath();
    for (
      let tick = Math.max(0, Math.ceil(view.start / step));
      tick * step <= last;
      tick++
    ) {
      const x = Math.round((tick * step - view.start) / view.nsPerPx) + 0.5;
      context.moveTo(x, 0);
      context.lineTo(x, AXIS_PX);
      context.fillText(formatTick(tick * step, step), x + 4, AXIS_PX / 2);
    }
    context.moveTo(0, AXIS_PX - 0.5);
    context.lineTo(view.width, AXIS_PX - 0.5);
    context.stroke();
  }

  private _context: CanvasRenderingContext2D | null;
  private _image: ImageData | null = null;
  private _raster = new LaneRaster();
  private _counters = new CounterRaster();
  private _measured = new Map<string, number>();
  private _measuredFont = '';
}

/** The position of a slice, in pixels of the canvas. */
function boxOf(
  model: TimelineModel,
  slice: ITimelineSlice
): { left: number; top: number; width: number; height: number } | null {
  const top = model.topOf(slice);
  const { start, nsPerPx } = model.view;
  return top === null
    ? null
    : {
        left: (slice.start_us * 1000 - start) / nsPerPx,
        top: AXIS_PX + top - model.scroll,
        width: (slice.dur_us * 1000) / nsPerPx,
        height: (model.laneOf(slice)?.counter ? COUNTER_PX : ROW_PX) - 1
      };
}
