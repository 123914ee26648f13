import type { IDisposable } from '@lumino/disposable';
import { DisposableDelegate } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { IGenOpsCore } from '../core';
import { ApiError } from '../core';

import type { IQuestion, TargetsService } from './service';

/**
 * The questions that wait for the user's answer, oldest first.
 *
 * A question that was answered or withdrawn elsewhere disappears. Answers are
 * passed on and not stored.
 */
export class QuestionsModel implements IDisposable {
  constructor(
    private _core: Pick<IGenOpsCore, 'events' | 'trans'>,
    private _service: Pick<TargetsService, 'questions' | 'answer'>
  ) {
    _core.events.changed('question').connect(this._look, this);
    _core.events.resync.connect(this._look, this);
  }

  /**
   * Emitted when another question is the first, when none is left, and when an
   * answer was sent or refused.
   */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** The question to show. */
  get current(): IQuestion | undefined {
    return this._waiting[0];
  }

  /** All waiting questions, the oldest first. */
  get waiting(): readonly IQuestion[] {
    return this._waiting;
  }

  /** How many questions wait behind it. */
  get behind(): number {
    return Math.max(0, this._waiting.length - 1);
  }

  /** Whether an answer is being sent. */
  get busy(): boolean {
    return this._busy;
  }

  /** Why the last answer was not sent. */
  get error(): ApiError | undefined {
    return this._error;
  }

  /** Whether an open dialog shows the questions itself. */
  get isHosted(): boolean {
    return this._hosts > 0;
  }

  /** Read the open questions. */
  start(): void {
    this._look();
  }

  /**
   * Show the questions within a dialog until the returned disposable is
   * disposed: two dialogs cannot be open at once.
   */
  host(): IDisposable {
    this._hosts += 1;
    this._changed.emit();
    return new DisposableDelegate(() => {
      this._hosts -= 1;
      this._changed.emit();
    });
  }

  /** Answer the current question; null refuses it. */
  async answer(text: string | null): Promise<void> {
    const question = this.current;
    if (!question || this._busy) {
      return;
    }
    this._busy = true;
    this._error = undefined;
    this._changed.emit();
    try {
      await this._service.answer(question.id, text);
      this._drop(question.id);
    } catch (reason) {
      const error = ApiError.from(reason, this._core.trans);
      // Somebody else answered, or nobody waits any more.
      if (error.code === 'not_found' || error.code === 'conflict') {
        this._drop(question.id);
      } else {
        this._error = error;
      }
    } finally {
      this._busy = false;
      this._changed.emit();
    }
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (!this._isDisposed) {
      this._isDisposed = true;
      Signal.clearData(this);
    }
  }

  private _drop(id: string): void {
    this._done.add(id);
    this._waiting = this._waiting.filter(each => each.id !== id);
  }

  private _look(): void {
    if (this._looking) {
      this._again = true;
      return;
    }
    this._looking = true;
    this._service
      .questions()
      .then(waiting => this._take(waiting))
      // The next event tries again; the views show that the server is away.
      .catch(() => undefined)
      .finally(() => {
        this._looking = false;
        if (this._again && !this._isDisposed) {
          this._again = false;
          this._look();
        }
      });
  }

  private _take(waiting: readonly IQuestion[]): void {
    const ids = new Set(waiting.map(({ id }) => id));
    const before = this.current?.id;
    // A list read before may still have questions that were answered here.
    this._done.forEach(id => ids.has(id) || this._done.delete(id));
    this._waiting = waiting.filter(({ id }) => !this._done.has(id));
    if (this.current?.id !== before) {
      this._error = undefined;
    }
    this._changed.emit();
  }

  private _waiting: readonly IQuestion[] = [];
  private _done = new Set<string>();
  private _hosts = 0;
  private _busy = false;
  private _error: ApiError | undefined;
  private _looking = false;
  private _again = false;
  private _isDisposed = false;
  private _changed = new Signal<this, void>(this);
}
