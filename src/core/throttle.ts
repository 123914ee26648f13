import type { IDisposable } from '@lumino/disposable';

/** Call a function at most once in `pauseMs`: at the first call, and once more for all calls of the pause. */
export class Throttle implements IDisposable {
  constructor(
    private _run: () => void,
    private _pauseMs: number
  ) {}

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  ask(): void {
    if (this._isDisposed) {
      return;
    }
    if (this._timer !== undefined) {
      this._again = true;
      return;
    }
    this._timer = window.setTimeout(() => {
      this._timer = undefined;
      if (this._again) {
        this._again = false;
        this.ask();
      }
    }, this._pauseMs);
    this._run();
  }

  dispose(): void {
    this._isDisposed = true;
    window.clearTimeout(this._timer);
    this._timer = undefined;
  }

  private _timer: number | undefined;
  private _again = false;
  private _isDisposed = false;
}
