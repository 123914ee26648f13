import type { IDisposable } from '@lumino/disposable';

import type { ITraceCut } from './service';

const PING_MS = 250;
/** The UI loads 20 MB, and reads a trace for some seconds. */
const PATIENCE_MS = 180_000;
/** Share of the width for the period. */
const SHARE = 0.9;

/** The Perfetto UI did not answer. */
export class NoAnswer extends Error {}

/**
 * The Perfetto UI in a frame; traces are sent by its message protocol. The
 * frame has no origin, so messages to it name none, and messages from it are
 * identified by its window.
 */
export class PerfettoFrame implements IDisposable {
  constructor(private _frame: HTMLIFrameElement) {
    window.addEventListener('message', this._heard);
  }

  /**
   * Show a period of a trace; `trace` is transferred. Without one, show a
   * period of the loaded trace.
   */
  async show(cut: ITraceCut, trace: ArrayBuffer | null): Promise<void> {
    if (trace) {
      await this._answer('PONG', () => this._post('PING'));
    }
    // Sent first, because the UI checks what it showed before when it reads
    // this.
    this._post({
      perfettoIgnore: true,
      genopsShow: { slice: cut.slice ?? null, another: trace !== null }
    });
    if (trace) {
      const { title } = cut;
      this._post(
        {
          perfetto: { buffer: trace, title, fileName: title, keepApiOpen: true }
        },
        [trace]
      );
    }
    await this._answer('shown');
    this._post({
      perfetto: {
        timeStart: cut.first_s,
        timeEnd: cut.last_s,
        viewPercentage: SHARE
      }
    });
  }

  get isDisposed(): boolean {
    return this._disposed;
  }

  dispose(): void {
    this._disposed = true;
    window.removeEventListener('message', this._heard);
    this._waiting.forEach(({ fail }) =>
      fail(new DOMException('', 'AbortError'))
    );
    this._waiting.clear();
  }

  private _post(message: unknown, transfer: Transferable[] = []): void {
    this._frame.contentWindow?.postMessage(message, '*', transfer);
  }

  /** Wait for an answer; `ask` is called until it comes. */
  private async _answer(answer: string, ask?: () => void): Promise<void> {
    const asking = ask && window.setInterval(ask, PING_MS);
    let waited = 0;
    try {
      await new Promise<void>((done, fail) => {
        this._waiting.get(answer)?.fail(new DOMException('', 'AbortError'));
        this._waiting.set(answer, { done, fail });
        waited = window.setTimeout(() => fail(new NoAnswer()), PATIENCE_MS);
        ask?.();
      });
    } finally {
      window.clearInterval(asking);
      window.clearTimeout(waited);
    }
  }

  private _heard = ({ source, data }: MessageEvent<unknown>): void => {
    if (source === null || source !== this._frame.contentWindow) {
      return;
    }
    const shown = typeof data === 'object' && data && 'genopsShown' in data;
    const answer = shown ? 'shown' : String(data);
    this._waiting.get(answer)?.done();
    this._waiting.delete(answer);
  };

  private _waiting = new Map<
    string,
    { done: () => void; fail: (reason: unknown) => void }
  >();
  private _disposed = false;
}
