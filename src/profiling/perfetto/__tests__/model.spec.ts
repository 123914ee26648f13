import { Bench, settle, trans } from '../../../tasks/__tests__/support';
import { PerfettoModel } from '../model';
import type { ICutQuery, ITraceCut, PerfettoService } from '../service';

const stretch = (last_us: number): ICutQuery => ({
  first_us: 0,
  last_us,
  slice: null,
  rank: null
});

describe('PerfettoModel', () => {
  it('hands the trace over with the stretch that was asked for last, also while the UI loads', async () => {
    const bench = new Bench({});
    const bytes = jest.fn(() => Promise.resolve(new ArrayBuffer(8)));
    const service = {
      page: () => Promise.resolve('ui/'),
      cut: (_: string, { last_us, rank }: ICutQuery) =>
        Promise.resolve({
          path: `p/${rank ?? 0}`,
          last_s: last_us
        } as ITraceCut),
      bytes
    } as unknown as PerfettoService;
    const model = new PerfettoModel({
      profileId: 'p1',
      asked: stretch(1),
      service,
      events: bench.core.events,
      trans
    });
    const posted: Record<string, Record<string, unknown>>[] = [];
    const contentWindow = {
      postMessage: (message: never) => posted.push(message)
    };
    const say = async (data: unknown) => {
      const event = new MessageEvent('message', { data });
      Object.defineProperty(event, 'source', { value: contentWindow });
      window.dispatchEvent(event);
      await settle(20);
    };
    const kinds = () =>
      posted.flatMap(message => Object.keys(message.perfetto ?? {}));

    await model.load();
    model.enter({ contentWindow } as unknown as HTMLIFrameElement);
    await settle(20);
    model.show(stretch(2));
    await settle(20);
    expect(kinds()).toEqual([]);
    await say('PONG');
    await say({ genopsShown: { selected: false } });
    expect(kinds().filter(kind => kind === 'buffer')).toHaveLength(1);
    expect(posted[posted.length - 1].perfetto.timeEnd).toBe(2);
    expect([model.busy, model.error]).toEqual([false, null]);

    const fetched = bytes.mock.calls.length;
    model.show(stretch(3));
    await settle(20);
    await say({ genopsShown: { selected: false } });
    expect(posted[posted.length - 1].perfetto.timeEnd).toBe(3);
    expect(bytes).toHaveBeenCalledTimes(fetched);

    // Back to what is shown while another one is on its way: that one may come in between.
    model.show({ ...stretch(4), rank: 1 });
    await settle(20);
    model.show(stretch(5));
    await settle(20);
    expect(bytes).toHaveBeenCalledTimes(fetched + 2);
    model.dispose();
    bench.dispose();
  });
});
