import { ServerConnection } from '@jupyterlab/services';

import { LiveChannel } from '../live';

/** The browser's end of the live socket; it opens at once and remembers what was sent. */
export class FakeSocket {
  /** The one that is open. */
  static latest: FakeSocket | null = null;
  sent: { subscribe?: string[]; unsubscribe?: string[] }[] = [];
  onopen: () => void = () => undefined;
  onclose: () => void = () => undefined;
  onmessage: (event: { data: string }) => void = () => undefined;

  constructor() {
    FakeSocket.latest = this;
    queueMicrotask(() => this.onopen());
  }

  /** Topics that are subscribed to now. */
  get topics(): string[] {
    const topics = new Set<string>();
    for (const { subscribe = [], unsubscribe = [] } of this.sent) {
      subscribe.forEach(topic => topics.add(topic));
      unsubscribe.forEach(topic => topics.delete(topic));
    }
    return [...topics];
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }

  close(): void {
    FakeSocket.latest = null;
    this.onclose();
  }

  /** What the server publishes. */
  tell(topic: string, data: unknown): void {
    this.onmessage({ data: JSON.stringify({ topic, data }) });
  }
}

/** A live channel over {@link FakeSocket}. */
export function fakeLive(): LiveChannel {
  return new LiveChannel({
    serverSettings: ServerConnection.makeSettings({
      WebSocket: FakeSocket as unknown as typeof WebSocket
    })
  });
}
