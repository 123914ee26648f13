import { nullTranslator } from '@jupyterlab/translation';

import { TimelineModel } from '../model';
import type { ITileKey, ITimeline, TimelineService } from '../service';

/** A server with a timeline a rank, which answers when it is told to. */
class FakeService {
  readonly asked: string[] = [];
  hold: Promise<void> | null = null;

  async timeline(
    _: string,
    rank: number | null,
    signal: AbortSignal
  ): Promise<ITimeline> {
    this.asked.push(`timeline ${rank}`);
    await this.hold;
    if (signal.aborted) {
      throw new Error('aborted');
    }
    return {
      span_us: 1000 * (1 + (rank ?? 0)),
      lanes: [],
      names: ['kernel'],
      kinds: btoa('\x08'),
      rank: rank ?? 0,
      ranks: [0, 1]
    };
  }

  async tiles(_: string, rank: number | null, keys: ITileKey[]) {
    this.asked.push(`${keys.length} tiles ${rank}`);
    return [];
  }

  async sums(_: string, rank: number | null) {
    this.asked.push(`sums ${rank}`);
    return { slices: 1, busy_us: 5, names: [], more_names: 0 };
  }
}

const later = () => new Promise(done => setTimeout(done));

describe('the timeline of one of several ranks', () => {
  let service: FakeService;
  let model: TimelineModel;
  const onRank = jest.fn();

  beforeEach(() => {
    onRank.mockReset();
    service = new FakeService();
    model = new TimelineModel({
      profileId: 'p',
      service: service as unknown as TimelineService,
      trans: nullTranslator.load('genops_lab'),
      onRank
    });
    model.resize(1000, 400);
    model.visible = true;
  });

  afterEach(() => model.dispose());

  it('is the first one until another is chosen, and asks for that one then', async () => {
    await later();
    expect([model.rank, model.span]).toEqual([0, 1e6]);
    const cache = model.cache;
    await model.selectRange({ first: 0, last: 10, lanes: [0] });
    model.showRank(1);
    expect([model.timeline, model.range, model.sums]).toEqual([
      null,
      null,
      null
    ]);
    await later();
    expect([model.rank, model.span]).toEqual([1, 2e6]);
    expect(model.cache).not.toBe(cache);
    expect(onRank).toHaveBeenCalledWith(1);
    await model.selectRange({ first: 0, last: 10, lanes: [0] });
    expect(service.asked).toEqual([
      'timeline null',
      'sums null',
      'timeline 1',
      'sums 1'
    ]);
  });

  it('that is left before it came is not shown', async () => {
    let go = (): void => undefined;
    service.hold = new Promise(done => (go = done));
    model.showRank(1);
    service.hold = null;
    model.showRank(0);
    await later();
    go();
    await later();
    expect([model.rank, model.span, model.error]).toEqual([0, 1e6, null]);
  });

  it('is that of the rank whose moments are marked', async () => {
    await later();
    const moments = [{ start_us: 100, end_us: 110 }];
    await model.mark({ title: 'Late', moments, at: 0, rank: 1 });
    await later();
    expect([model.rank, model.range?.first]).toEqual([1, 100_000]);
    model.showRank(0);
    expect(model.marks).toBeNull();
  });
});
