/** The flame graph on the screen: d3-flame-graph, told by the places of nodes. */
import flamegraph from 'd3-flame-graph';
import type { IDrawn, IFlameGraph, ITooltip } from 'd3-flame-graph';
import type { Selection } from 'd3-selection';
import { select } from 'd3-selection';
// Gives selections their transitions.
import 'd3-transition';

import type { ILook, IScene } from '../../../core/charts/scene';

import type { ICall, Measure } from './calls';
import { WHOLE } from './calls';
import { flameScene } from './picture';

const ROW_PX = 20;
/** Narrower frames are left out. */
const NARROWEST_PX = 1;
/** The library writes no names into narrower ones. */
const NAMED_PX = 35;
const ZOOM_MS = 250;
/** More would stutter on their way. */
const MOST_MOVED = 2500;

type Frame = IDrawn<ICall>;

/** What was searched for. */
export interface IMatches {
  readonly frames: number;
  /** Of all of them, none within another counted. */
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
        // The library tells of its own zooms, too.
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

  /** What the width of a frame says. */
  set measure(measure: Measure) {
    if (measure !== this._measure) {
      this._measure = measure;
      this._update();
    }
  }

  /** In pixels. Where there is none, what was drawn last stays. */
  set width(width: number) {
    if (width > 0 && width !== this._width) {
      this._width = width;
      this._chart.width(width);
      this._update();
    }
  }

  /** The node that is as wide as the picture. */
  set focus(place: number) {
    if (place !== this._focus) {
      this._focus = place;
      const frame = this._frame(place);
      // The library hides what is beside a focus, and shows again only what is below the next one.
      for (let at = frame.parent; at; at = at.parent) {
        at.data.hide = false;
      }
      this._zooming = true;
      this._chart.zoomTo(frame);
      this._zooming = false;
      this._finish();
      // What was too narrow to be drawn when it was selected may be seen now.
      this._select()?.scrollIntoView?.({ block: 'nearest' });
    }
  }

  /** The node that keys go from. */
  set selected(place: number) {
    if (place !== this._selected) {
      this._selected = place;
      select(this._host)
        .selectAll('.gol-mod-selected')
        .classed('gol-mod-selected', false);
      this._select()?.scrollIntoView?.({ block: 'nearest' });
    }
  }

  /** Show where a text is in names, whatever its case; null without a text. */
  search(text: string): IMatches | null {
    const wanted = text.trim().toLowerCase();
    if (wanted !== this._wanted) {
      this._wanted = wanted;
      this._update();
    }
    return this._matches;
  }

  /** Where a key leads from a node: its caller, its costliest callee, or the sibling beside it. */
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

  /** What is seen. */
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

  /** What the library leaves to do when it has drawn, with no class but its own. */
  private _finish(): void {
    const drawn = this._drawn;
    if (this._chart.transitionDuration() === 0) {
      // Its transitions of no length still cost a turn, and new ones grow all the same.
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
    // It keeps two rows for a title.
    const depth = Math.max(0, ...drawn.data().map(frame => frame.depth));
    select(this._host)
      .select('svg')
      .attr('height', (depth + 1) * ROW_PX);
    const still =
      this._frames.size > MOST_MOVED ||
      window.matchMedia?.('(prefers-reduced-motion: reduce)').matches;
    this._chart.transitionDuration(still ? 0 : ZOOM_MS);
  }

  /** Mark what is selected, where it is drawn; the others are not marked. */
  private _select(): SVGGElement | null {
    return (
      this._drawn
        .filter(({ data }) => data.place === this._selected)
        .classed('gol-mod-selected', true)
        // Its outline lies over the frames beside it.
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

/** The browser's own tooltips: one of the picture, made when a frame is pointed at. */
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
    /** All that is known of a node, for who points at it. */
    sentence: (place: number) => string;
    /** A frame was clicked. */
    onZoom: (place: number) => void;
  }
}
