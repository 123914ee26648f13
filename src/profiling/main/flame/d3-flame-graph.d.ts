/**
 * The part that is used here of a library without types (its README lists the
 * rest).
 */
declare module 'd3-flame-graph' {
  import type { Selection } from 'd3-selection';

  /** A drawn node of d3-hierarchy. */
  export interface IDrawn<T> {
    readonly data: T;
    readonly depth: number;
    readonly parent: IDrawn<T> | null;
    /** In sorted order. */
    readonly children?: readonly IDrawn<T>[];
    /** From 0 to 1 of the whole width. */
    readonly x0: number;
    readonly x1: number;
    /** Whether it matches the search. */
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
    /** Draw the outermost frames at the top. */
    inverted(yes: boolean): this;
    resetHeightOnZoom(yes: boolean): this;
    sort(order: (one: IDrawn<T>, other: IDrawn<T>) => number): this;
    tooltip(tooltip: ITooltip<T>): this;
    getName(name: (node: IDrawn<T>) => string): this;
    /** Called with a node for search, with its data for layout. */
    getValue(value: (of: IDrawn<T> | T) => number): this;
    setColorMapper(color: (node: IDrawn<T>) => string): this;
    setSearchMatch(matches: (node: IDrawn<T>, text: string) => boolean): this;
    /** `sum` is the value of the matches; nested matches count once. */
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
