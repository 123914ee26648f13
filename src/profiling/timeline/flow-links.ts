import type { ISliceDetails, ITimelineSlice } from './service';

/** Most arrows that are drawn. */
const MOST = 100;

/**
 * Pairs of slices with an arrow: from a launch to its work, from forward to
 * backward.
 */
export function arrowsOf(
  details: ISliceDetails
): (readonly [from: ITimelineSlice, to: ITimelineSlice])[] {
  const { slice, launched = [], launched_by: launch } = details;
  const { backward = [], forward } = details;
  const [one, other] = [launch ?? null, forward ?? null];
  return [
    ...[...launched.slice(0, MOST), ...backward.slice(0, MOST)].map(
      to => [slice, to] as const
    ),
    ...[one, other].flatMap(from => (from ? [[from, slice] as const] : []))
  ];
}

/** The same collective on all ranks, in order; empty for other slices. */
export function sameOn({
  collective
}: ISliceDetails): readonly ITimelineSlice[] {
  return (collective?.parts ?? []).map(({ slice }) => slice);
}

/**
 * The next slice of a link: the launched work, the backward pass, or the same
 * collective on the next rank.
 */
export function onward(details: ISliceDetails): ITimelineSlice | null {
  const { slice, launched = [], backward = [] } = details;
  const ranks = sameOn(details);
  const own = ranks.findIndex(each => each.slice === slice.slice);
  return launched[0] ?? backward[0] ?? ranks[(own + 1) % ranks.length] ?? null;
}

/** The previous slice of a link: the launch, or the forward pass. */
export function backward(details: ISliceDetails): ITimelineSlice | null {
  return details.launched_by ?? details.forward ?? null;
}
