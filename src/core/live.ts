import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import type { IDisposable } from '@lumino/disposable';
import { DisposableDelegate } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 15000;

/**
 * One websocket for all live figures.
 *
 * The socket is open only while there are subscriptions, the browser tab is visible
 * and updates are not paused. Subscribe while visible and dispose when hidden.
 */
export class LiveChannel implements IDisposable {
  constructor(options: LiveChannel.IOptions = {}) {
    this._settings = options.serverSettings ?? ServerConnection.makeSettings();
    document.addEventListener('visibilitychange', this._reconsider);
  }

  /** Emitted when the socket is open again: messages may have been lost meanwhile. */
  get reconnected(): ISignal<this, void> {
    return this._reconnected;
  }

  /** Emitted when the open socket is lost: views may be out of date. */
  get lost(): ISignal<this, void> {
    return this._lostSignal;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  /** Whether the socket is open now. */
  get isOpen(): boolean {
    return this._isOpen;
  }

  /** True while the user has switched updates off. */
  get paused(): boolean {
    return this._paused;
  }
  set paused(value: boolean) {
    this._paused = value;
    this._reconsider();
  }

  /**
   * Subscribe to a topic: `machine`, `run:<id>`, `deployment:<name>`.
   *
   * @returns a disposable that ends the subscription.
   */
  subscribe<T = unknown>(
    topic: string,
    listener: (data: T) => void
  ): IDisposable {
    const entry = listener as (data: unknown) => void;
    const listeners = this._topics.get(topic) ?? new Set();
    // A listener may subscribe twice; each subscription ends on its own.
    const unique = (data: unknown) => entry(data);
    listeners.add(unique);
    if (listeners.size === 1) {
      this._topics.set(topic, listeners);
      this._send({ subscribe: [topic] });
    }
    this._reconsider();
    return new DisposableDelegate(() => {
      listeners.delete(unique);
      if (listeners.size === 0 && this._topics.get(topic) === listeners) {
        this._topics.delete(topic);
        this._send({ unsubscribe: [topic] });
        this._reconsider();
      }
    });
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    document.removeEventListener('visibilitychange', this._reconsider);
    this._topics.clear();
    this._close();
    Signal.clearData(this);
  }

  private _reconsider = (): void => {
    const wanted =
      !this._isDisposed &&
      !this._paused &&
      this._topics.size > 0 &&
      document.visibilityState !== 'hidden';
    if (!wanted) {
      this._close();
    } else if (!this._socket && this._retry === undefined) {
      this._open();
    }
  };

  private _open(): void {
    const { appendToken, token, wsUrl, WebSocket } = this._settings;
    let url = URLExt.join(wsUrl, 'genops', 'live');
    if (appendToken && token !== '') {
      url += `?token=${encodeURIComponent(token)}`;
    }
    const socket = new WebSocket(url);
    this._socket = socket;
    socket.onopen = () => {
      if (this._socket !== socket) {
        return;
      }
      this._isOpen = true;
      this._delay = FIRST_RETRY_MS;
      this._send({ subscribe: [...this._topics.keys()] });
      if (this._lost) {
        this._lost = false;
        this._reconnected.emit();
      }
    };
    socket.onmessage = event => this._receive(event.data);
    socket.onclose = () => {
      if (this._socket !== socket) {
        return;
      }
      this._socket = null;
      const wasOpen = this._isOpen;
      this._isOpen = false;
      this._lost = true;
      if (wasOpen) {
        this._lostSignal.emit();
      }
      // Spread the reconnects of many clients after a restart of the server.
      const delay = this._delay * (0.75 + Math.random() / 2);
      this._delay = Math.min(this._delay * 2, LAST_RETRY_MS);
      this._retry = window.setTimeout(() => {
        this._retry = undefined;
        this._reconsider();
      }, delay);
    };
  }

  private _close(): void {
    window.clearTimeout(this._retry);
    this._retry = undefined;
    this._delay = FIRST_RETRY_MS;
    const socket = this._socket;
    this._socket = null;
    if (socket) {
      // Changes are lost also while the socket is closed on purpose.
      this._lost = true;
      this._isOpen = false;
      socket.close();
    }
  }

  private _send(message: object): void {
    if (this._isOpen && this._socket) {
      this._socket.send(JSON.stringify(message));
    }
  }

  private _receive(text: unknown): void {
    let message: unknown;
    try {
      message = JSON.parse(String(text));
    } catch {
      return;
    }
    const { topic, data } = (message ?? {}) as {
      topic?: unknown;
      data?: unknown;
    };
    if (typeof topic !== 'string') {
      return;
    }
    for (const listener of [...(this._topics.get(topic) ?? [])]) {
      try {
        listener(data);
      } catch (reason) {
        console.error(`GenOps Lab: a listener of ${topic} failed`, reason);
      }
    }
  }

  private _settings: ServerConnection.ISettings;
  private _topics = new Map<string, Set<(data: unknown) => void>>();
  private _socket: WebSocket | null = null;
  private _isOpen = false;
  private _lost = false;
  private _paused = false;
  private _retry: number | undefined;
  private _delay = FIRST_RETRY_MS;
  private _isDisposed = false;
  private _lostSignal = new Signal<this, void>(this);
  private _reconnected = new Signal<this, void>(this);
}

export namespace LiveChannel {
  export interface IOptions {
    serverSettings?: ServerConnection.ISettings;
  }
}
