/** The visible time. Times are in nanoseconds after the trace's first event. */
export interface IViewport {
  readonly start: number;
  readonly nsPerPx: number;
  /** CSS pixels. */
  readonly width: number;
}

/** Closest zoom: traces have a resolution of a nanosecond at best. */
const CLOSEST_NS_PER_PX = 0.02;
/** Part of the screen that may be empty beyond the ends. */
const MARGIN = 0.5;

/** The whole time, with some space at both ends. */
export function whole(span: number, width: number): IViewport {
  return between(0, Math.max(span, 1), width, span);
}

/** A period with some space around it. */
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

/** A period on some lanes. Nanoseconds. */
export interface IRange {
  readonly first: number;
  readonly last: number;
  readonly lanes: readonly number[];
}

/** A day, for a trace whose end is not known. Nanoseconds. */
export const WHOLE = { first: 0, last: 86_400e9 };

/**
 * The period to show elsewhere: the selected or the visible one, with the
 * selected slice. Never empty.
 */
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

/** Limit the view: it stays near the trace and within the resolution. */
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

/** Zoom: `factor` below 1 shows less; the time at pixel `x` stays there. */
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

/** Keep the time at the left at another width. */
export function resized(
  view: IViewport,
  width: number,
  span: number
): IViewport {
  return kept({ ...view, width }, span);
}

/** Step of an axis, so that a label fits between two ticks. */
export function tickStep(view: IViewport, labelPx: number): number {
  const least = view.nsPerPx * labelPx;
  const power = 10 ** Math.floor(Math.log10(least));
  const factor = [1, 2, 5, 10].find(each => each * power >= least) ?? 10;
  return factor * power;
}

/**
 * Format a time on an axis with this step, with enough digits to distinguish
 * two ticks.
 */
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
