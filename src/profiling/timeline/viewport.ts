/** Which time is shown. Times in nanoseconds after the trace's first event. */
export interface IViewport {
  readonly start: number;
  readonly nsPerPx: number;
  /** CSS pixels. */
  readonly width: number;
}

/** No closer than this: a nanosecond is what traces tell at best. */
const CLOSEST_NS_PER_PX = 0.02;
/** Beyond the ends so much of the screen may be empty. */
const MARGIN = 0.5;

/** All of it, with a little room at both ends. */
export function whole(span: number, width: number): IViewport {
  return between(0, Math.max(span, 1), width, span);
}

/** A stretch of time with a little room around it. */
export function between(
  first: number,
  last: number,
  width: number,
  span: number
): IViewport {
  const length = Math.max(last - first, 1);
  return kept(
    {
      start: first - length * 0.02,
      nsPerPx: (length * 1.04) / Math.max(width, 1),
      width
    },
    span
  );
}

/** A stretch of time on some lanes. Nanoseconds. */
export interface IRange {
  readonly first: number;
  readonly last: number;
  readonly lanes: readonly number[];
}

/** Of a trace whose end is not known: a day. Nanoseconds. */
export const WHOLE = { first: 0, last: 86_400e9 };

/** What one looks at, in time: a stretch that is selected, or what is seen, with the selected slice. Never empty. */
export function stretchOf(
  view: IViewport,
  range: { readonly first: number; readonly last: number } | null,
  slice: { readonly start_us: number; readonly dur_us: number } | undefined,
  span: number
): { first: number; last: number } {
  const { start, nsPerPx, width } = view;
  const seen = range ?? { first: start, last: start + nsPerPx * width };
  const [first, last] = slice
    ? [slice.start_us * 1000, (slice.start_us + slice.dur_us) * 1000]
    : [seen.first, seen.last];
  const begin = Math.max(0, Math.min(seen.first, first, span - 1));
  const end = Math.min(span, Math.max(seen.last, last));
  return { first: begin, last: Math.max(end, begin + 1) };
}

/** Within bounds: neither lost beside the trace nor closer than it tells. */
export function kept(view: IViewport, span: number): IViewport {
  const width = Math.max(view.width, 1);
  const farthest = (Math.max(span, 1) * 1.1) / width;
  const nsPerPx = Math.min(
    Math.max(view.nsPerPx, Math.min(CLOSEST_NS_PER_PX, farthest)),
    farthest
  );
  const shown = nsPerPx * width;
  const start = Math.min(
    Math.max(view.start, -shown * MARGIN),
    span - shown * (1 - MARGIN)
  );
  return { start, nsPerPx, width: view.width };
}

/** `factor` below 1 shows less; the time at pixel `x` stays there. */
export function zoomed(
  view: IViewport,
  factor: number,
  x: number,
  span: number
): IViewport {
  const at = view.start + x * view.nsPerPx;
  const { nsPerPx } = kept({ ...view, nsPerPx: view.nsPerPx * factor }, span);
  return kept({ ...view, nsPerPx, start: at - x * nsPerPx }, span);
}

export function panned(view: IViewport, px: number, span: number): IViewport {
  return kept({ ...view, start: view.start + px * view.nsPerPx }, span);
}

/** The same time at the left in another width. */
export function resized(
  view: IViewport,
  width: number,
  span: number
): IViewport {
  return kept({ ...view, width }, span);
}

/** Steps of an axis, so that a label fits between two of them. */
export function tickStep(view: IViewport, labelPx: number): number {
  const least = view.nsPerPx * labelPx;
  const power = 10 ** Math.floor(Math.log10(least));
  const factor = [1, 2, 5, 10].find(each => each * power >= least) ?? 10;
  return factor * power;
}

/** A time as an axis with this step tells it: as many digits as tell two ticks apart. */
export function formatTick(ns: number, step: number): string {
  const [unit, word] = (
    [
      [1e9, 's'],
      [1e6, 'ms'],
      [1e3, 'µs'],
      [1, 'ns']
    ] as const
  ).find(([size]) => Math.abs(ns) >= size || step >= size) ?? [1, 'ns'];
  const digits = Math.max(0, -Math.floor(Math.log10(step / unit) + 1e-9));
  return `${(ns / unit).toFixed(Math.min(digits, 12))} ${word}`;
}
