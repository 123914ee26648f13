import { NoAnswer, PerfettoFrame } from '../frame';
import type { ITraceCut } from '../service';

const CUT: ITraceCut = {
  path: 'genops/profiles/p/perfetto/0',
  title: 't.json',
  first_s: 1.5,
  last_s: 2.5,
  whole: true,
  kept_first_us: 0,
  kept_last_us: 10,
  narrowed: false,
  left_out: 0,
  slice: { name: 'mm', ts_ns: '1600000000', dur_ns: '7' }
};

/** A frame whose messages are kept; nothing answers but what a test says. */
function framed() {
  const posted: { message: unknown; target: string; transfer: unknown[] }[] =
    [];
  const contentWindow = {
    postMessage: (message: unknown, target: string, transfer: unknown[]) =>
      posted.push({ message, target, transfer })
  };
  const frame = new PerfettoFrame({
    contentWindow
  } as unknown as HTMLIFrameElement);
  const say = async (data: unknown, source: unknown = contentWindow) => {
    const event = new MessageEvent('message', { data });
    Object.defineProperty(event, 'source', { value: source });
    window.dispatchEvent(event);
    await Promise.resolve();
    await Promise.resolve();
    await Promise.resolve();
  };
  return { frame, posted, say };
}

describe('PerfettoFrame', () => {
  beforeEach(() => jest.useFakeTimers());
  afterEach(() => jest.useRealTimers());

  it('asks until it is answered, hands the trace over and shows the stretch', async () => {
    const { frame, posted, say } = framed();
    const trace = new ArrayBuffer(8);
    const shown = frame.show(CUT, trace);
    jest.advanceTimersByTime(600);
    expect(posted.map(({ message }) => message)).toEqual([
      'PING',
      'PING',
      'PING'
    ]);
    await say('PONG', window);
    expect(posted).toHaveLength(3);
    await say('PONG');
    jest.advanceTimersByTime(1000);
    expect(posted.slice(3)).toEqual([
      {
        message: {
          perfettoIgnore: true,
          genopsShow: { slice: CUT.slice, another: true }
        },
        target: '*',
        transfer: []
      },
      {
        message: {
          perfetto: {
            buffer: trace,
            title: 't.json',
            fileName: 't.json',
            keepApiOpen: true
          }
        },
        target: '*',
        transfer: [trace]
      }
    ]);
    await say({ genopsShown: { selected: true } });
    await shown;
    expect(posted[5].message).toEqual({
      perfetto: { timeStart: 1.5, timeEnd: 2.5, viewPercentage: 0.9 }
    });
    frame.dispose();
  });

  it('shows another stretch of what is there without the trace', async () => {
    const { frame, posted, say } = framed();
    const shown = frame.show(CUT, null);
    await say({ genopsShown: { selected: false } });
    await shown;
    expect(posted.map(({ message }) => Object.keys(message as object))).toEqual(
      [['perfettoIgnore', 'genopsShow'], ['perfetto']]
    );
    frame.dispose();
  });

  it('lets a later question have the answer', async () => {
    const { frame, say } = framed();
    const before = frame.show(CUT, null);
    const after = frame.show(CUT, null);
    await expect(before).rejects.toMatchObject({ name: 'AbortError' });
    await say({ genopsShown: { selected: false } });
    await after;
    frame.dispose();
  });

  it('says that it was not answered, and ends when it is disposed', async () => {
    const { frame } = framed();
    const shown = frame.show(CUT, new ArrayBuffer(8));
    jest.advanceTimersByTime(200_000);
    await expect(shown).rejects.toBeInstanceOf(NoAnswer);
    const again = frame.show(CUT, new ArrayBuffer(8));
    frame.dispose();
    await expect(again).rejects.toMatchObject({ name: 'AbortError' });
  });
});
