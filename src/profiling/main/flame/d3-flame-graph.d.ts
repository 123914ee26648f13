/** What is used here of a library that brings no types (its README names the rest). */
declare module 'd3-flame-graph' {
  import type { Selection } from 'd3-selection';

  /** A node of d3-hierarchy, drawn. */
  export interface IDrawn<T> {
    readonly data: T;
    readonly depth: number;
    readonly parent: IDrawn<T> | null;
    /** As they are sorted. */
    readonly children?: readonly IDrawn<T>[];
    /** From 0 to 1 of the whole width. */
    readonly x0: number;
    readonly x1: number;
    /** Whether it is among what was searched for. */
    readonly highlight?: boolean;
    each(visit: (node: IDrawn<T>) => void): void;
  }

  export interface IFlameGraph<T> {
    (host: Selection<HTMLElement, T, null, undefined>): void;
    width(pixels: number): this;
    cellHeight(pixels: number): this;
    minFrameSize(pixels: number): this;
    transitionDuration(): number;
    transitionDuration(milliseconds: number): this;
    /** The outermost above. */
    inverted(yes: boolean): this;
    resetHeightOnZoom(yes: boolean): this;
    sort(order: (one: IDrawn<T>, other: IDrawn<T>) => number): this;
    tooltip(tooltip: ITooltip<T>): this;
    getName(name: (node: IDrawn<T>) => string): this;
    /** Of a node when it searches, of its data when it lays out. */
    getValue(value: (of: IDrawn<T> | T) => number): this;
    setColorMapper(color: (node: IDrawn<T>) => string): this;
    setSearchMatch(matches: (node: IDrawn<T>, text: string) => boolean): this;
    /** `sum` is the value of what was found, none within another counted. */
    setSearchHandler(found: (nodes: IDrawn<T>[], sum: number) => void): this;
    onClick(clicked: (node: IDrawn<T>) => void): this;
    search(text: string): void;
    clear(): void;
    zoomTo(node: IDrawn<T>): void;
    update(): this;
    destroy(): this;
  }

  export interface ITooltip<T> {
    (): void;
    show(event: MouseEvent, node: IDrawn<T>): void;
    hide(): void;
  }

  export default function flamegraph<T>(): IFlameGraph<T>;
}
