import type { TranslationBundle } from '@jupyterlab/translation';

import { formatMicroseconds, ranksText } from '../../figures';
import type { ITimeline, ITimelineRank } from '../service';

/** As in the engine: fewer shared collectives prove nothing. */
const FEWEST = 3;

/** Text on the clocks of several ranks on one timeline. */
export interface IClockWords {
  /** On the aligned ranks; empty without any. */
  readonly aligned: string;
  /** On the other ranks, and on hidden ones. */
  readonly apart: readonly string[];
}

export function clockWords(
  { ranks = [], together = 0 }: ITimeline,
  trans: TranslationBundle
): IClockWords {
  const shown = ranks.slice(0, together);
  const set = shown.filter(each => each.placed_by === 'collectives');
  const alone = shown.filter(
    ({ placed_by }) => placed_by === 'wall_clock' || placed_by === 'start'
  );
  const apart = [
    ...sentences(
      alone.filter(({ common }) => common < FEWEST),
      some =>
        trans._n(
          'Rank %2 is not aligned: it shares fewer than %3 collectives with the others.',
          'Ranks %2 are not aligned: they share fewer than %3 collectives with the others.',
          some.length,
          listed(some, trans),
          FEWEST
        ),
      trans
    ),
    ...sentences(
      alone.filter(({ common }) => common >= FEWEST),
      some =>
        trans._n(
          'Rank %2 is not aligned: its collectives do not end at the same time as those of the others.',
          'Ranks %2 are not aligned: their collectives do not end at the same time as those of the others.',
          some.length,
          listed(some, trans)
        ),
      trans
    )
  ];
  if (together < ranks.length) {
    apart.push(
      trans.__(
        'The timeline shows the first %1 of %2 ranks. Choose another rank to see it.',
        together,
        ranks.length
      )
    );
  }
  return { aligned: set.length > 0 ? alignedWords(set, trans) : '', apart };
}

function alignedWords(
  set: readonly ITimelineRank[],
  trans: TranslationBundle
): string {
  const matched = set.map(each => each.matched);
  const [least, most] = [Math.min(...matched), Math.max(...matched)];
  const spread = formatMicroseconds(
    Math.max(...set.map(each => each.spread_us))
  );
  return least === most
    ? trans.__(
        'Clocks are aligned by %1 shared collectives: 90 % of them end within ±%2 of each other.',
        least.toLocaleString(),
        spread
      )
    : trans.__(
        'Clocks are aligned by %1 to %2 shared collectives: 90 % of them end within ±%3 of each other.',
        least.toLocaleString(),
        most.toLocaleString(),
        spread
      );
}

/** A sentence with the reason, and one with the source of the position. */
function sentences(
  alone: readonly ITimelineRank[],
  why: (some: readonly ITimelineRank[]) => string,
  trans: TranslationBundle
): string[] {
  const places = [
    [
      'wall_clock',
      trans.__(
        "The position in time comes from the host's clock, which may be far off."
      )
    ],
    ['start', trans.__('The position in time has no meaning.')]
  ] as const;
  return places.flatMap(([placed, where]) => {
    const some = alone.filter(({ placed_by }) => placed_by === placed);
    return some.length > 0 ? [`${why(some)} ${where}`] : [];
  });
}

function listed(
  ranks: readonly ITimelineRank[],
  trans: TranslationBundle
): string {
  return ranksText(
    ranks.map(({ rank }) => rank),
    trans
  );
}
