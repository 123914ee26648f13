import { nullTranslator } from '@jupyterlab/translation';

import { aroundMoment, turned } from '../marks';
import { TimelineModel } from '../model';
import type {
  ISumsQuery,
  ITimeline,
  ITimelineLane,
  TimelineService
} from '../service';

const MARKS = {
  title: 'Communication is exposed',
  moments: [
    { start_us: 100, end_us: 110 },
    { start_us: 500, end_us: 520 }
  ],
  at: 0
};

function lane(number: number, part: Partial<ITimelineLane>): ITimelineLane {
  return {
    lane: number,
    group: 'Process 1',
    label: 'main',
    device: '',
    stream: '',
    rows: 3,
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

/** A server with a thread of many rows and a stream below it. */
class FakeService {
  readonly sumsAsked: ISumsQuery[] = [];

  timeline(): Promise<ITimeline> {
    return Promise.resolve({
      span_us: 1000,
      lanes: [
        lane(0, { rows: 60 }),
        lane(1, { group: 'Device 0', device: '0', rows: 1 })
      ],
      names: ['kernel'],
      kinds: btoa('\x08'),
      rank: null,
      ranks: [],
      together: 0
    });
  }

  tiles(): Promise<never[]> {
    return Promise.resolve([]);
  }

  sums(_: string, _rank: number | null, asked: ISumsQuery) {
    this.sumsAsked.push(asked);
    return Promise.resolve({ slices: 1, busy_us: 5, names: [], more_names: 0 });
  }
}

function makeModel(): { model: TimelineModel; service: FakeService } {
  const service = new FakeService();
  const model = new TimelineModel({
    profileId: 'p',
    service: service as unknown as TimelineService,
    trans: nullTranslator.load('genops_lab')
  });
  return { model, service };
}

describe('marks', () => {
  it('turn from the last moment to the first, and back', () => {
    expect(turned(MARKS, 1).at).toBe(1);
    expect(turned(turned(MARKS, 1), 1).at).toBe(0);
    expect(turned(MARKS, -1).at).toBe(1);
  });

  it('leave room around a moment, and none before the trace', () => {
    expect(aroundMoment(MARKS.moments[0])).toEqual([90_000, 120_000]);
    expect(aroundMoment({ start_us: 2, end_us: 10 })[0]).toBe(0);
  });

  it('that come before the timeline and its size are gone to when both are there', async () => {
    const { model, service } = makeModel();
    await model.mark(MARKS);
    model.visible = true;
    await new Promise(done => setTimeout(done));
    model.resize(1000, 400);
    const seen = [
      model.view.start,
      model.view.start + model.view.width * model.view.nsPerPx
    ];
    expect(seen[0]).toBeLessThan(100_000);
    expect(seen[1]).toBeGreaterThan(110_000);
    expect(seen[1] - seen[0]).toBeLessThan(50_000);
    expect(service.sumsAsked).toEqual([
      { first_us: 100, last_us: 110, lanes: [0, 1] }
    ]);
    // The stream lies below 60 rows of a thread.
    const stream = model.placed.lanes[1];
    expect(model.scroll).toBe(stream.top + stream.height - 400);
    model.dispose();
  });

  it('are taken away with what is selected', async () => {
    const { model } = makeModel();
    model.resize(1000, 400);
    await model.load();
    await model.mark(turned(MARKS, 1));
    expect(model.range?.first).toBe(500_000);
    await model.mark(null);
    expect([model.marks, model.range, model.sums]).toEqual([null, null, null]);
    model.dispose();
  });
});

describe('a search', () => {
  it('that is cleared before its answer finds nothing', async () => {
    const { model, service } = makeModel();
    let answer: (found: unknown) => void = () => undefined;
    Object.assign(service, {
      search: () => new Promise(done => (answer = done))
    });
    model.resize(1000, 400);
    await model.load();
    const found = model.find('kernel', false);
    await model.find('', false);
    answer({ count: 1, place: 0, slice: null, names: '' });
    await found;
    expect([model.search.text, model.search.found, model.matches]).toEqual([
      '',
      null,
      null
    ]);
    model.dispose();
  });
});
