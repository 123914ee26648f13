/**
 * Draw the flame graph with d3-flame-graph, addressed by positions of nodes.
 */
import flamegraph from 'd3-flame-graph';
import type { IDrawn, IFlameGraph, ITooltip } from 'd3-flame-graph';
import type { Selection } from 'd3-selection';
import { select } from 'd3-selection';
// Adds transitions to selections.
import 'd3-transition';

import type { ILook, IScene } from '../../../core/charts/scene';

import type { ICall, Measure } from './calls';
import { WHOLE } from './calls';
import { flameScene } from './picture';

const ROW_PX = 20;
/** Narrower frames are left out. */
const NARROWEST_PX = 1;
/** The library writes no names into narrower frames. */
const NAMED_PX = 35;
const ZOOM_MS = 250;
/** More frames would make the animation stutter. */
const MOST_MOVED = 2500;

type Frame = IDrawn<ICall>;

/** The matches of a search. */
export interface IMatches {
  readonly frames: number;
  /** Time of all matches; nested matches count once. */
  readonly us: number;
}

export class FlameGraph {
  constructor(options: FlameGraph.IOptions) {
    const { host, calls, nameOf, sentence, onZoom } = options;
    this._host = host;
    this._measure = options.measure;
    this._chart = flamegraph<ICall>()
      .width(0)
      .cellHeight(ROW_PX)
      .minFrameSize(NARROWEST_PX)
      .inverted(true)
      .resetHeightOnZoom(true)
      .getName(({ data }) => nameOf(data.place))
      .getValue(of => ('data' in of ? of.data : of)[this._measure])
      .sort((one, other) => this._us(other) - this._us(one))
      .setColorMapper(({ data }) => `var(--gol-flame-${data.kind})`)
      .setSearchMatch(
        ({ data }, text) =>
          data.place !== WHOLE && data.name.toLowerCase().includes(text)
      )
      .setSearchHandler((frames, us) => {
        this._matches = { frames: frames.length, us };
      })
      .tooltip(titles(host, sentence))
      .onClick(({ data }) => {
        // The library also reports its own zooms.
        if (!this._zooming) {
          this._focus = data.place;
          this._finish();
          onZoom(data.place);
        }
      });
    select(host).datum(calls).call(this._chart);
    select<HTMLElement, Frame>(host)
      .datum()
      .each(frame => this._frames.set(frame.data.place, frame));
  }

  /** The measure that sets the width of frames. */
  set measure(measure: Measure) {
    if (measure !== this._measure) {
      this._measure = measure;
      this._update();
    }
  }

  /** Width in pixels. With width 0, the last picture stays. */
  set width(width: number) {
    if (width > 0 && width !== this._width) {
      this._width = width;
      this._chart.width(width);
      this._update();
    }
  }

  /** The node with the full width of the picture. */
  set focus(place: number) {
    if (place !== this._focus) {
      this._focus = place;
      const frame = this._frame(place);
      // The library hides the siblings of a zoomed frame, and shows again only
      // frames below the next one.
      for (let at = frame.parent; at; at = at.parent) {
        at.data.hide = false;
      }
      this._zooming = true;
      this._chart.zoomTo(frame);
      this._zooming = false;
      this._finish();
      // A selected frame that was too narrow may be visible now.
      this._select()?.scrollIntoView?.({ block: 'nearest' });
    }
  }

  /** The selected node, from which keys move. */
  set selected(place: number) {
    if (place !== this._selected) {
      this._selected = place;
      select(this._host)
        .selectAll('.gol-mod-selected')
        .classed('gol-mod-selected', false);
      this._select()?.scrollIntoView?.({ block: 'nearest' });
    }
  }

  /** Mark names that contain a text (case is ignored); null without a text. */
  search(text: string): IMatches | null {
    const wanted = text.trim().toLowerCase();
    if (wanted !== this._wanted) {
      this._wanted = wanted;
      this._update();
    }
    return this._matches;
  }

  /**
   * The node that a key moves to: the caller, the costliest callee, or a
   * sibling.
   */
  neighbour(place: number, key: string): number | null {
    const frame = this._frame(place);
    const siblings = frame.parent?.children ?? [];
    const at = siblings.indexOf(frame);
    const to = {
      ArrowUp: frame.parent,
      ArrowDown: frame.children?.[0],
      ArrowLeft: siblings[at - 1],
      ArrowRight: siblings[at + 1]
    }[key];
    return to && this._us(to) > 0 ? to.data.place : null;
  }

  /** The visible frames as a picture. */
  picture(look: ILook): IScene {
    return flameScene(
      this._drawn.nodes().map(node => {
        const frame = select<SVGGElement, Frame>(node).datum();
        return {
          node,
          x: frame.x0 * this._width,
          y: frame.depth * ROW_PX,
          width: this._widthOf(frame),
          height: ROW_PX,
          selected: frame.data.place === this._selected
        };
      }),
      this._width,
      look
    );
  }

  dispose(): void {
    this._chart.destroy();
  }

  private _update(): void {
    this._chart.transitionDuration(0);
    if (this._wanted) {
      this._chart.search(this._wanted);
    } else {
      this._matches = null;
      this._chart.clear();
    }
    this._finish();
  }

  /** Complete the drawing: the library sets no other classes. */
  private _finish(): void {
    const drawn = this._drawn;
    if (this._chart.transitionDuration() === 0) {
      // Transitions of length 0 still take a frame, and new nodes are animated
      // anyway.
      drawn
        .interrupt()
        .attr(
          'transform',
          ({ x0, depth }) => `translate(${x0 * this._width},${depth * ROW_PX})`
        )
        .select('rect')
        .interrupt()
        .attr('width', frame => this._widthOf(frame));
    }
    drawn
      .filter(frame => this._widthOf(frame) >= NAMED_PX)
      .classed('gol-mod-named', true);
    if (this._wanted) {
      drawn
        .filter(({ highlight }) => !highlight)
        .classed('gol-mod-faint', true);
    }
    this._select();
    // The library reserves two rows for a title.
    const depth = Math.max(0, ...drawn.data().map(frame => frame.depth));
    select(this._host)
      .select('svg')
      .attr('height', (depth + 1) * ROW_PX);
    const still =
      this._frames.size > MOST_MOVED ||
      window.matchMedia?.('(prefers-reduced-motion: reduce)').matches;
    this._chart.transitionDuration(still ? 0 : ZOOM_MS);
  }

  /** Mark the selected frame, if it is drawn, and no other. */
  private _select(): SVGGElement | null {
    return (
      this._drawn
        .filter(({ data }) => data.place === this._selected)
        .classed('gol-mod-selected', true)
        // Its outline covers the frames next to it.
        .raise()
        .node()
    );
  }

  private get _drawn(): Selection<SVGGElement, Frame, HTMLElement, unknown> {
    return select(this._host).selectAll<SVGGElement, Frame>('.frame');
  }

  private _frame(place: number): Frame {
    return this._frames.get(place)!;
  }

  private _us({ data }: Frame): number {
    return data[this._measure];
  }

  private _widthOf({ x0, x1 }: Frame): number {
    return (x1 - x0) * this._width;
  }

  private _host: HTMLElement;
  private _chart: IFlameGraph<ICall>;
  private _frames = new Map<number, Frame>();
  private _measure: Measure;
  private _width = 0;
  private _focus = WHOLE;
  private _zooming = false;
  private _selected = WHOLE;
  private _wanted = '';
  private _matches: IMatches | null = null;
}

/**
 * Tooltips of the browser: one for the picture, made when the pointer is over a
 * frame.
 */
function titles(
  host: HTMLElement,
  sentence: (place: number) => string
): ITooltip<ICall> {
  return Object.assign(() => undefined, {
    show: (_: MouseEvent, { data }: Frame) => {
      host.title = sentence(data.place);
    },
    hide: () => {
      host.title = '';
    }
  });
}

export namespace FlameGraph {
  export interface IOptions {
    host: HTMLElement;
    calls: ICall;
    measure: Measure;
    nameOf: (place: number) => string;
    /** The tooltip of a node. */
    sentence: (place: number) => string;
    /** Called when a frame was clicked. */
    onZoom: (place: number) => void;
  }
}
