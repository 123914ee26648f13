import { nullTranslator } from '@jupyterlab/translation';

import type { ITimelineRank } from '../service';
import { clockWords } from '../view/clock-messages';

const trans = nullTranslator.load('genops_lab');

function place(rank: number, part: Partial<ITimelineRank> = {}): ITimelineRank {
  return {
    rank,
    offset_us: 0,
    placed_by: 'collectives',
    matched: 8,
    common: 8,
    spread_us: 3,
    ...part
  };
}

describe('the clocks of ranks', () => {
  const words = (ranks: ITimelineRank[], together = ranks.length) =>
    clockWords(
      {
        span_us: 1,
        lanes: [],
        names: [],
        kinds: '',
        rank: null,
        ranks,
        together
      },
      trans
    );

  it('are told with how far they can be trusted', () => {
    const first = place(0, { placed_by: 'reference', spread_us: 0 });
    expect(words([first, place(1), place(2, { spread_us: 12.4 })])).toEqual({
      aligned:
        'Clocks are aligned by 8 shared collectives: 90 % of them end within ±12.4 µs of each other.',
      apart: []
    });
    expect(words([first, place(1, { matched: 6 }), place(2)]).aligned).toMatch(
      /^Clocks are aligned by 6 to 8 shared collectives/
    );
  });

  it('that are not aligned are named, with the reason and what their place means', () => {
    const start = { placed_by: 'start', matched: 0 } as const;
    const wall = { placed_by: 'wall_clock', matched: 0 } as const;
    expect(
      words([
        place(0, { placed_by: 'reference' }),
        place(1, { ...start, common: 2 }),
        place(2, { ...start, common: 0 }),
        place(3, { ...wall, common: 40 })
      ])
    ).toEqual({
      aligned: '',
      apart: [
        'Ranks 1, 2 are not aligned: they share fewer than 3 collectives with the others. The position in time has no meaning.',
        "Rank 3 is not aligned: its collectives do not end at the same time as those of the others. The position in time comes from the host's clock, which may be far off."
      ]
    });
  });

  it('that are many are told in stretches', () => {
    const start = { placed_by: 'start', matched: 0, common: 0 } as const;
    const ranks = [0, 1, 2, 3, 5, 7, 8, 10, 11, 12].map(rank =>
      place(rank, start)
    );
    expect(words(ranks).apart).toEqual([
      'Ranks 0 to 3, 5, 7, 8, 10 to 12 are not aligned: they share fewer than 3 collectives with the others. The position in time has no meaning.'
    ]);
  });

  it('say when there are more ranks than are shown', () => {
    const ranks = Array.from({ length: 70 }, (_, rank) => place(rank));
    expect(words(ranks, 64).apart).toEqual([
      'The timeline shows the first 64 of 70 ranks. Choose another rank to see it.'
    ]);
  });
});
