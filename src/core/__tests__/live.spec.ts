import { ServerConnection } from '@jupyterlab/services';

import { LiveChannel } from '../live';

class FakeSocket {
  static all: FakeSocket[] = [];
  sent: unknown[] = [];
  closed = false;
  onopen: () => void = () => undefined;
  onclose: () => void = () => undefined;
  onmessage: (event: { data: string }) => void = () => undefined;

  constructor(readonly url: string) {
    FakeSocket.all.push(this);
  }
  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }
  close(): void {
    this.closed = true;
    this.onclose();
  }
  tell(topic: string, data: unknown): void {
    this.onmessage({ data: JSON.stringify({ topic, data }) });
  }
}

describe('LiveChannel', () => {
  let live: LiveChannel;

  beforeEach(() => {
    jest.useFakeTimers();
    FakeSocket.all = [];
    live = new LiveChannel({
      serverSettings: ServerConnection.makeSettings({
        baseUrl: 'http://host/a/b/',
        wsUrl: 'ws://host/a/b/',
        WebSocket: FakeSocket as unknown as typeof WebSocket
      })
    });
  });

  afterEach(() => {
    live.dispose();
    jest.useRealTimers();
  });

  it('opens with the first subscriber and closes with the last', () => {
    expect(FakeSocket.all).toHaveLength(0);
    const heard: unknown[] = [];
    const first = live.subscribe('machine', data => heard.push(data));
    const second = live.subscribe('machine', data => heard.push(data));
    const [socket] = FakeSocket.all;
    expect(socket.url).toContain('ws://host/a/b/genops/live');
    socket.onopen();
    expect(socket.sent).toEqual([{ subscribe: ['machine'] }]);
    const other = live.subscribe('run:1', () => undefined);
    expect(socket.sent[1]).toEqual({ subscribe: ['run:1'] });
    socket.tell('machine', 1);
    socket.onmessage({ data: 'not json' });
    expect(heard).toEqual([1, 1]);
    other.dispose();
    expect(socket.sent[2]).toEqual({ unsubscribe: ['run:1'] });
    first.dispose();
    expect(socket.closed).toBe(false);
    second.dispose();
    expect(socket.closed).toBe(true);
    jest.advanceTimersByTime(60000);
    expect(FakeSocket.all).toHaveLength(1);
  });

  it('comes back with its topics, and says that it was away', () => {
    let back = 0;
    let lost = 0;
    live.reconnected.connect(() => back++);
    live.lost.connect(() => lost++);
    live.subscribe('machine', () => undefined);
    FakeSocket.all[0].onopen();
    expect(back).toBe(0);
    FakeSocket.all[0].onclose();
    expect(lost).toBe(1);
    jest.advanceTimersByTime(1000);
    expect(FakeSocket.all).toHaveLength(2);
    FakeSocket.all[1].onclose();
    jest.advanceTimersByTime(2000);
    FakeSocket.all[2].onopen();
    expect(FakeSocket.all[2].sent).toEqual([{ subscribe: ['machine'] }]);
    expect(back).toBe(1);
    expect(lost).toBe(1);
  });

  it('is closed while paused', () => {
    live.subscribe('machine', () => undefined);
    FakeSocket.all[0].onopen();
    live.paused = true;
    expect(FakeSocket.all[0].closed).toBe(true);
    live.paused = false;
    expect(FakeSocket.all).toHaveLength(2);
  });
});
