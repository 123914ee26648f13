import { nullTranslator } from '@jupyterlab/translation';

import type { TimelineModel } from '../model';
import type { ISliceDetails, ITimelineSlice } from '../service';
import { arrowsOf, backward, onward, sameOn } from '../flow-links';
import { pressed } from '../view/keys';
import { lateWords } from '../view/messages';

const trans = nullTranslator.load('genops_lab');

function slice(number: number): ITimelineSlice {
  return {
    slice: number,
    lane: 0,
    row: 0,
    name: `slice ${number}`,
    kind: 'operator',
    start_us: number,
    dur_us: 1
  };
}

function details(part: Partial<ISliceDetails>): ISliceDetails {
  return {
    slice: slice(1),
    arguments: [],
    around: [],
    ...part
  } as unknown as ISliceDetails;
}

const collective = {
  parts: [
    { rank: 0, slice: slice(1), late_us: 12 },
    { rank: 2, slice: slice(5), late_us: 0 },
    { rank: 3, slice: slice(9), late_us: 640 }
  ],
  trust_us: 20,
  missing: []
};

function numbers(pairs: ReturnType<typeof arrowsOf>): [number, number][] {
  return pairs.map(([from, to]) => [from.slice, to.slice]);
}

describe('what a slice is tied to', () => {
  it('is drawn from a launch to what it started, from forward to backward', () => {
    expect(
      numbers(arrowsOf(details({ launched: [slice(4), slice(6)] })))
    ).toEqual([
      [1, 4],
      [1, 6]
    ]);
    expect(numbers(arrowsOf(details({ launched_by: slice(0) })))).toEqual([
      [0, 1]
    ]);
    expect(numbers(arrowsOf(details({ backward: [slice(7)] })))).toEqual([
      [1, 7]
    ]);
    expect(numbers(arrowsOf(details({ forward: slice(0) })))).toEqual([[0, 1]]);
    expect(arrowsOf(details({ collective }))).toEqual([]);
    expect(sameOn(details({ collective })).map(each => each.slice)).toEqual([
      1, 5, 9
    ]);
  });

  it.each([
    [{ launched: [slice(4)], backward: [slice(7)] }, 4, undefined],
    [{ backward: [slice(7), slice(8)] }, 7, undefined],
    [{ forward: slice(0) }, undefined, 0],
    [{ launched_by: slice(0), collective }, 5, 0],
    [{ slice: slice(9), collective }, 1, undefined],
    [{}, undefined, undefined]
  ])('is gone along and back by key: %#', (part, along, back) => {
    const selected: number[] = [];
    const model = {
      view: { width: 100 },
      details: details(part),
      select: (number: number) => selected.push(number)
    } as unknown as TimelineModel;
    expect(onward(model.details!)?.slice).toBe(along);
    expect(backward(model.details!)?.slice).toBe(back);
    pressed(model, new KeyboardEvent('keydown', { key: 'g' }));
    pressed(model, new KeyboardEvent('keydown', { key: 'G', shiftKey: true }));
    expect(selected).toEqual([along, back].filter(each => each !== undefined));
  });

  it('says who came last, where the clocks are known that well', () => {
    expect(lateWords(collective, trans)).toBe(
      'Rank 3 started last, 640 µs after rank 2'
    );
    expect(lateWords({ ...collective, trust_us: 640 }, trans)).toBe(
      'all ranks started within 640 µs, the accuracy of their clocks'
    );
  });
});
