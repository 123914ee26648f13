import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import { Signal } from '@lumino/signaling';

import { ApiError } from '../../../core';

import type { OutputsService } from '../service';

/** Lines per request, and the number of such parts that are kept. */
export const PART_LINES = 500;
const PARTS = 40;
const AGAIN_MS = 2000;

/** The full output of one run; keeps the lines that somebody looks at. */
export class FullOutputModel implements IDisposable {
  constructor(private _options: FullOutputModel.IOptions) {}

  readonly changed = new Signal<this, void>(this);
  total = 0;
  bytes = 0;
  /** Whether more may come. */
  running = false;
  complete = true;
  loaded = false;
  error: ApiError | null = null;
  /** Grows with each change. */
  revision = 0;

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (!this._isDisposed) {
      this._isDisposed = true;
      this.visible = false;
      this._abort.abort();
      Signal.clearData(this);
    }
  }

  /** Where the browser gets the output as a file. */
  get downloadUrl(): string {
    const { service, kernelId, msgId } = this._options;
    return service.downloadUrl(kernelId, msgId);
  }

  /**
   * While visible, the end of an unfinished run is requested again and again.
   */
  set visible(visible: boolean) {
    this._visible = visible;
    window.clearTimeout(this._timer);
    if (visible && (!this.loaded || this.running)) {
      void this.refresh();
    }
  }

  /** A line; undefined until it is fetched. */
  line(number: number): string | undefined {
    return this._parts.get(Math.floor(number / PART_LINES))?.[
      number % PART_LINES
    ];
  }

  /** Fetch the missing lines in this range. */
  want(first: number, count: number): void {
    const last = Math.min(first + count, this.total) - 1;
    for (
      let part = Math.floor(first / PART_LINES);
      part <= Math.floor(Math.max(first, last) / PART_LINES);
      part++
    ) {
      const lines = this._parts.get(part);
      const full = Math.min(PART_LINES, this.total - part * PART_LINES);
      if (lines) {
        // The most recently used part is dropped last.
        this._parts.delete(part);
        this._parts.set(part, lines);
      }
      if ((lines?.length ?? 0) < full && !this._asked.has(part)) {
        void this._fetch(part);
      }
    }
  }

  /** Fetch new lines at the end. */
  async refresh(): Promise<void> {
    window.clearTimeout(this._timer);
    await this._fetch(Math.max(0, Math.floor((this.total - 1) / PART_LINES)));
    if (this._visible && !this._isDisposed && (this.running || this.error)) {
      this._timer = window.setTimeout(() => void this.refresh(), AGAIN_MS);
    }
  }

  /**
   * The next line with this text from `from` on; after the last line the search
   * starts again.
   */
  async find(text: string, from: number): Promise<number | null> {
    const { service, kernelId, msgId } = this._options;
    try {
      return await service.findText(
        kernelId,
        msgId,
        text,
        from,
        this._abort.signal
      );
    } catch (reason) {
      this._fail(reason);
      return null;
    }
  }

  private async _fetch(part: number): Promise<void> {
    const { service, kernelId, msgId } = this._options;
    this._asked.add(part);
    try {
      const found = await service.text(
        kernelId,
        msgId,
        part * PART_LINES,
        PART_LINES,
        this._abort.signal
      );
      this._parts.delete(part);
      this._parts.set(part, found.lines);
      for (const oldest of this._parts.keys()) {
        if (this._parts.size <= PARTS) {
          break;
        }
        this._parts.delete(oldest);
      }
      this.total = found.total;
      this.bytes = found.bytes;
      this.running = found.running;
      this.complete = found.complete ?? true;
      this.loaded = true;
      this.error = null;
      this._tell();
    } catch (reason) {
      this._fail(reason);
    } finally {
      this._asked.delete(part);
    }
  }

  private _fail(reason: unknown): void {
    if (!this._isDisposed) {
      this.error = ApiError.from(reason, this._options.trans);
      this._tell();
    }
  }

  private _tell(): void {
    this.revision += 1;
    this.changed.emit();
  }

  private _parts = new Map<number, string[]>();
  private _asked = new Set<number>();
  private _visible = false;
  private _timer = 0;
  private _abort = new AbortController();
  private _isDisposed = false;
}

export namespace FullOutputModel {
  export interface IOptions {
    service: Pick<OutputsService, 'text' | 'findText' | 'downloadUrl'>;
    kernelId: string;
    msgId: string;
    trans: TranslationBundle;
  }
}
