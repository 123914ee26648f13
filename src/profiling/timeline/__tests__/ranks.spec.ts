import { nullTranslator } from '@jupyterlab/translation';

import { layout } from '../lanes';
import { TimelineModel, besideOf, shownOf } from '../model';
import { pick } from '../picking';
import type {
  ISliceDetails,
  ISumsQuery,
  ITileKey,
  ITimeline,
  ITimelineLane,
  ITimelineRank,
  TimelineService
} from '../service';
import { TileCache, tileLength } from '../tiles';

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

function lane(number: number, part: Partial<ITimelineLane>): ITimelineLane {
  return {
    lane: number,
    group: 'Process 1',
    label: 'main',
    device: '',
    stream: '',
    rows: 2,
    slices: 10,
    first_us: 0,
    last_us: 1000,
    rank: null,
    offset_us: 0,
    first_slice: 0,
    counter: null,
    ...part
  };
}

/** A thread and a stream of each rank, whose first events lie 500 µs after each other. */
function lanesOf(ranks: readonly number[]): ITimelineLane[] {
  return ranks.flatMap(rank => {
    const own = { rank, offset_us: 500 * rank, first_slice: 100 * rank };
    const stream = { group: 'Device 0', device: '0', stream: '7', rows: 1 };
    return [lane(2 * rank, own), lane(2 * rank + 1, { ...own, ...stream })];
  });
}

/** A server with a timeline a rank and one of all, which answers when it is told to. */
class FakeService {
  constructor(readonly ranks: readonly number[]) {}

  readonly asked: string[] = [];
  readonly sumsAsked: ISumsQuery[] = [];
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
      lanes: rank === null ? lanesOf(this.ranks) : [lane(0, {}), lane(1, {})],
      names: ['kernel'],
      kinds: btoa('\x08'),
      rank,
      ranks: this.ranks.map(each => place(each, { offset_us: 500 * each })),
      together: this.ranks.length
    };
  }

  async tiles(_: string, rank: number | null, keys: ITileKey[]) {
    this.asked.push(`${keys.length} tiles ${rank}`);
    return [];
  }

  async sums(_: string, rank: number | null, query: ISumsQuery) {
    this.asked.push(`sums ${rank}`);
    this.sumsAsked.push(query);
    return { slices: 1, busy_us: 5, names: [], more_names: 0 };
  }
}

const later = () => new Promise(done => setTimeout(done));

describe('a timeline of several ranks', () => {
  let service: FakeService;
  let model: TimelineModel;
  const onRank = jest.fn();
  const onPerfetto = jest.fn();

  function make(ranks: readonly number[] = [0, 1]): void {
    service = new FakeService(ranks);
    model = new TimelineModel({
      profileId: 'p',
      service: service as unknown as TimelineService,
      trans,
      onRank,
      onPerfetto
    });
    model.resize(1000, 400);
    model.visible = true;
  }

  beforeEach(() => {
    jest.clearAllMocks();
    make();
  });

  afterEach(() => model.dispose());

  it('is that of all until a rank is chosen, and asks for that one then', async () => {
    await later();
    expect([model.rank, model.isTogether, model.span]).toEqual([
      null,
      true,
      1e6
    ]);
    expect(model.hasPerfetto).toBe(true);
    const { cache } = model;
    await model.selectRange({ first: 0, last: 10, lanes: [0] });
    model.showRank(1);
    expect([model.timeline, model.range, model.sums]).toEqual([
      null,
      null,
      null
    ]);
    expect(model.ranks).toHaveLength(2);
    await later();
    expect([model.rank, model.isTogether, model.span]).toEqual([1, false, 2e6]);
    expect(model.cache).not.toBe(cache);
    expect(onRank).toHaveBeenCalledWith(1);
    await model.selectRange({ first: 0, last: 10, lanes: [0] });
    expect(service.asked).toEqual([
      'timeline null',
      'sums null',
      'timeline 1',
      'sums 1'
    ]);
    model.openPerfetto();
    expect(onPerfetto).toHaveBeenCalledWith(
      expect.objectContaining({ rank: 1 })
    );
  });

  it('of all means one rank where one has to be: in Perfetto, for memory', async () => {
    await later();
    const changed = jest.fn();
    model.changed.connect(changed);
    expect([model.chosenRank, model.offsetOf(0)]).toEqual([0, 0]);
    model.pointAt(1);
    model.pointAt(1);
    model.pointAt(null);
    expect([model.chosenRank, model.offsetOf(1)]).toEqual([1, 500_000]);
    expect(changed).toHaveBeenCalledTimes(1);
    model.showBetween(600_000, 900_000);
    model.openPerfetto();
    // In the rank's own time, with its own number of the slice.
    expect(onPerfetto).toHaveBeenLastCalledWith({
      // A view has some room on both sides.
      first_us: expect.closeTo(94),
      last_us: expect.closeTo(406),
      slice: null,
      rank: 1
    });
    const slice = {
      slice: 107,
      lane: 3,
      row: 0,
      name: 'kernel',
      kind: 'compute',
      start_us: 700,
      dur_us: 10
    };
    model.pointAt(0);
    const details = { slice, arguments: [], around: [] };
    model.details = details as unknown as ISliceDetails;
    expect(model.chosenRank).toBe(1);
    model.openPerfetto();
    expect(onPerfetto).toHaveBeenLastCalledWith(
      expect.objectContaining({ slice: 7, rank: 1 })
    );
    const counted = { ...details, counter: {} };
    model.details = counted as unknown as ISliceDetails;
    model.openPerfetto();
    expect(onPerfetto).toHaveBeenLastCalledWith(
      expect.objectContaining({ slice: null })
    );
    model.details = null;
    model.range = { first: 0, last: 100_000, lanes: [2, 3] };
    expect(model.chosenRank).toBe(1);
    model.openPerfetto();
    // What is seen ends before the rank begins.
    expect(onPerfetto).toHaveBeenLastCalledWith({
      first_us: 0,
      last_us: 1,
      slice: null,
      rank: 1
    });
    model.range = { first: 0, last: 100_000, lanes: [1, 3] };
    expect(model.chosenRank).toBe(0);
  });

  it('that cannot be made for all leaves the choice of one', async () => {
    model.dispose();
    service = new FakeService([0, 1]);
    const { timeline } = service;
    service.timeline = (id, rank, signal) =>
      rank === null
        ? Promise.reject(new Error('a trace is gone'))
        : timeline.call(service, id, rank, signal);
    model = new TimelineModel({
      profileId: 'p',
      service: service as unknown as TimelineService,
      trans,
      ranks: [0, 1],
      onPerfetto
    });
    model.visible = true;
    await later();
    expect(model.error).not.toBeNull();
    expect([model.rankNumbers, model.hasPerfetto]).toEqual([[0, 1], false]);
    model.showRank(1);
    await later();
    expect([model.error, model.timeline?.rank]).toEqual([null, 1]);
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

  it('is that of the rank whose moments are marked, or of all beside it', async () => {
    await later();
    const moments = [{ start_us: 100, end_us: 110 }];
    await model.mark({ title: 'Idle', moments, at: 0, rank: 1 });
    await later();
    expect([model.rank, model.range?.first]).toEqual([1, 100_000]);
    model.showRank(0);
    expect(model.marks).toBeNull();
    const late = { title: 'Late', moments, at: 0, rank: 1, together: true };
    await model.mark(late);
    await later();
    // The rank's clock is 500 µs behind.
    expect([model.rank, model.range?.first]).toEqual([null, 600_000]);
    expect(model.moments).toEqual([{ start_us: 600, end_us: 610 }]);
    expect(service.sumsAsked.pop()).toEqual({
      first_us: 600,
      last_us: 610,
      lanes: [1, 0, 3, 2]
    });
  });

  it('shows the devices alone where there are many ranks, until a slice of a host is gone to', async () => {
    model.dispose();
    make([0, 1, 2]);
    await later();
    const shown = () => model.placed.lanes.map(each => each.lane);
    expect(shown()).toEqual([1, 3, 5]);
    model.toggleGroup('rank 0');
    expect(shown()).toEqual([3, 5]);
    const slice = {
      slice: 4,
      lane: 2,
      row: 0,
      name: 'aten::mm',
      kind: 'operator',
      start_us: 700,
      dur_us: 10
    };
    expect(model.topOf(slice)).toBeNull();
    model.reveal(slice);
    expect(shown()).toEqual([3, 2, 5]);
    expect(model.topOf(slice)).not.toBeNull();
    model.toggleGroup('rank 0');
    model.toggleGroup('rank 0 host');
    expect(shown()).toEqual([1, 0, 3, 2, 5]);
  });
});

describe('lanes of several ranks', () => {
  const OPEN = { lanes: new Set<number>(), groups: new Set<string>() };

  it('stand below their rank: its streams, then its host', () => {
    const { groups, lanes } = layout(lanesOf([0, 3]), OPEN);
    expect(groups.map(({ kind, rank }) => [kind, rank])).toEqual([
      ['rank', 0],
      ['host', 0],
      ['rank', 3],
      ['host', 3]
    ]);
    expect(lanes.map(each => each.lane)).toEqual([1, 0, 7, 6]);
    const tops = [...groups, ...lanes].map(({ top }) => top);
    expect(new Set(tops).size).toBe(tops.length);
    expect(lanes[2].offset).toBe(1_500_000);
  });

  it('name devices where a rank has several', () => {
    const stream = { rank: 0, device: '0', stream: '7', group: 'Device 0' };
    const other = { ...stream, device: '1', group: 'Device 1' };
    const { groups } = layout([lane(0, stream), lane(1, other)], OPEN);
    expect(groups.map(each => each.name)).toEqual(['', 'Device 0', 'Device 1']);
  });

  it('are fetched and picked on their own clocks', () => {
    const placed = layout(lanesOf([0, 1]), OPEN);
    const stream = placed.lanes[2];
    const view = { start: 500_000, nsPerPx: 1, width: 400 };
    const shown = shownOf(view, stream);
    expect(shown).toEqual([{ lane: 3, level: 0, index: 0 }]);
    expect(besideOf(shown, stream)).toEqual([{ lane: 3, level: 0, index: 1 }]);
    const cache = new TileCache(1e6);
    cache.put({
      key: shown[0],
      first: 0,
      row: Uint8Array.of(0),
      start: Float32Array.of(100),
      dur: Float32Array.of(50),
      covered: Float32Array.of(1),
      name: Int32Array.of(0),
      slice: Int32Array.of(9),
      count: Int32Array.of(1),
      bytes: 100
    });
    expect(tileLength(0)).toBe(512);
    const picked = pick(120, stream.top + 5, view, placed, cache);
    expect(picked).toMatchObject({ slice: 9, start: 500_100 });
    expect(pick(120, placed.lanes[0].top + 5, view, placed, cache)).toBeNull();
  });
});
