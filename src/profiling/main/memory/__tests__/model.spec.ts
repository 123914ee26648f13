import { PromiseDelegate } from '@lumino/coreutils';

import { settle } from '../../../../tasks/__tests__/support';
import { trans } from '../../__tests__/support';
import { MemoryModel } from '../model';
import type {
  IMemoryMomentQuery,
  IMemoryMoment,
  IMemoryRange
} from '../service';

import { makeMoment, makeSite, makeTimeline } from './support';

describe('memory at a moment', () => {
  let asked: {
    query: IMemoryMomentQuery;
    answer: PromiseDelegate<IMemoryMoment>;
  }[];
  let stretches: IMemoryRange[];
  let model: MemoryModel;

  beforeEach(() => {
    asked = [];
    stretches = [];
    model = new MemoryModel({
      profileId: 'p1',
      timeline: makeTimeline(),
      service: {
        moment: (_, __, query) => {
          const answer = new PromiseDelegate<IMemoryMoment>();
          asked.push({ query, answer });
          return answer.promise;
        },
        stretch: (_, __, query) => {
          stretches.push(query);
          return Promise.resolve(
            makeTimeline({
              at: [1, 2],
              held: [30, 40],
              bands: { 7: [20, 20], 9: [1, 1] }
            })
          );
        }
      },
      trans
    });
  });

  afterEach(() => model.dispose());

  const answer = async (place: number, at: number) => {
    asked[place].answer.resolve(
      makeMoment(at, [{ line: 7, site: makeSite({ bytes: at }) }])
    );
    await settle();
  };

  it('begins at the peak', () => {
    expect(model.at).toBe(2);
    expect(model.shownBytes).toBe(40);
  });

  it('asks for the last of many moments, one question at a time', async () => {
    for (const at of [0, 1, 2, 3]) {
      model.look(at);
    }
    expect(model.at).toBe(3);
    expect(asked.map(({ query }) => query)).toEqual([{ at: 0 }]);
    await answer(0, 0);
    expect(model.at).toBe(3);
    expect(model.moment?.at).toBe(0);
    expect(asked.map(({ query }) => query)).toEqual([{ at: 0 }, { at: 3 }]);
    await answer(1, 3);
    expect(model.moment?.at).toBe(3);
    expect(asked).toHaveLength(2);
    model.look(1);
    expect(asked).toHaveLength(3);
  });

  it('asks by time where the axis has times, and takes the moment from the answer', async () => {
    model.dispose();
    model = new MemoryModel({
      profileId: 'p1',
      timeline: makeTimeline({ us: [5, 6, 9, 20], by_time: true }),
      service: {
        moment: (_, __, query) => {
          const delegate = new PromiseDelegate<IMemoryMoment>();
          asked.push({ query, answer: delegate });
          return delegate.promise;
        },
        stretch: () => Promise.reject(new Error('not asked'))
      },
      trans
    });
    model.lookAtPlace(8);
    expect(asked[0].query).toEqual({ us: 8 });
    expect(model.at).toBe(1);
    await answer(0, 2);
    expect(model.at).toBe(2);
  });

  it('is told by keys', () => {
    expect(model.press('ArrowLeft')).toBe(true);
    expect(model.at).toBe(1);
    expect(model.press('End')).toBe(true);
    expect(model.at).toBe(3);
    expect(model.press('x')).toBe(false);
    expect(stretches).toEqual([]);
    model.press('0');
    expect(stretches).toEqual([{ first: 0, last: 3, line: undefined }]);
  });

  it('gives a chosen line without a band one, and keeps it in a zoom', async () => {
    model.choose(7);
    expect([model.lit, stretches]).toEqual([7, []]);
    model.point(2);
    expect(model.lit).toBe(2);
    model.point(null);
    model.choose(9);
    expect(stretches).toEqual([{ first: 0, last: 3, line: 9 }]);
    await settle();
    expect(model.curve.bands.map(({ line }) => line)).toEqual([7, 9]);
    expect(model.isWhole).toBe(false);
    model.zoom(2);
    expect(stretches[1].line).toBe(9);
    model.choose(9);
    expect(model.lit).toBeNull();
  });

  it('moves the stretch that is seen to a moment outside of it', async () => {
    model.zoom(0.5);
    await settle();
    model.look(1);
    expect(stretches).toHaveLength(1);
    model.look(3);
    expect(stretches[1]).toEqual({ first: 2, last: 3, line: undefined });
  });

  it('zooms on from what is on its way', () => {
    model.dispose();
    model = new MemoryModel({
      profileId: 'p1',
      timeline: makeTimeline({ moments: 1000, at: [0, 333, 666, 999] }),
      service: {
        moment: () => new Promise(() => undefined),
        stretch: (_, __, query) => {
          stretches.push(query);
          return new Promise(() => undefined);
        }
      },
      trans
    });
    for (let times = 0; times < 3; times++) {
      model.press('+');
    }
    const lengths = stretches.map(({ first, last }) => last! - first!);
    expect(lengths[1]).toBeLessThan(lengths[0] * 0.6);
    expect(lengths[2]).toBeLessThan(lengths[1] * 0.6);
  });

  it('says what failed, and goes on', async () => {
    model.look(1);
    asked[0].answer.reject(new Error('no way'));
    await settle();
    expect(model.error?.message).toContain('no way');
    model.look(2);
    await answer(1, 2);
    expect(model.error).toBeNull();
  });
});
