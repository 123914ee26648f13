import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import { ApiError } from '../core';

import type { IFolderResult, IFolderState, TargetsService } from './service';

/**
 * `looking` compares both sides, `ready` waits for the user, `bringing` runs,
 * `done` has a result.
 */
export type PullState = 'looking' | 'ready' | 'bringing' | 'done' | 'failed';

/**
 * Pulls new and changed files of a notebook's folder from a target, once the
 * user has seen the list.
 */
export class FolderPull implements IDisposable {
  constructor(
    private _service: Pick<
      TargetsService,
      'lookAtFolder' | 'pullFolder' | 'folderJob' | 'cancel'
    >,
    private _trans: TranslationBundle,
    private _which: { notebook: string; target: string }
  ) {
    void this._look();
  }

  get target(): string {
    return this._which.target;
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get state(): PullState {
    return this._state;
  }

  /** The state of both sides; undefined until they are compared. */
  get folder(): IFolderState | undefined {
    return this._folder;
  }

  get result(): IFolderResult | undefined {
    return this._result;
  }

  get error(): ApiError | undefined {
    return this._error;
  }

  /**
   * Whether files that changed on both sides are pulled too; the user's own
   * versions are kept as copies.
   */
  get replace(): boolean {
    return this._replace;
  }
  set replace(value: boolean) {
    this._replace = value;
    this._changed.emit();
  }

  /** The number of files that would be pulled now. */
  get count(): number {
    const { to_bring_count = 0, conflicts = [] } = this._folder ?? {};
    return to_bring_count + (this._replace ? conflicts.length : 0);
  }

  /** Pull the files. */
  async bring(): Promise<void> {
    if (this._state !== 'ready') {
      return;
    }
    this._set('bringing');
    const { notebook, target } = this._which;
    try {
      let job = await this._service.pullFolder(notebook, target, this._replace);
      while (!job.result && !this._isDisposed) {
        this._taskId = job.task_id;
        await new Promise(resolve => setTimeout(resolve, POLL_MS));
        job = await this._service.folderJob(job.id);
      }
      this._result = job.result ?? undefined;
      this._set('done');
    } catch (reason) {
      this._fail(reason);
    }
  }

  /** Stop the pull; files that have arrived stay. */
  async cancel(): Promise<void> {
    if (this._state === 'bringing' && this._taskId) {
      await this._service.cancel(this._taskId).catch(() => undefined);
    }
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (!this._isDisposed) {
      this._isDisposed = true;
      this._looking.abort();
      Signal.clearData(this);
    }
  }

  private async _look(): Promise<void> {
    const { notebook, target } = this._which;
    try {
      this._folder = await this._service.lookAtFolder(
        notebook,
        target,
        this._looking.signal
      );
      this._set('ready');
    } catch (reason) {
      this._fail(reason);
    }
  }

  private _fail(reason: unknown): void {
    this._error = ApiError.from(reason, this._trans);
    this._set('failed');
  }

  private _set(state: PullState): void {
    this._state = state;
    this._changed.emit();
  }

  private _state: PullState = 'looking';
  private _folder: IFolderState | undefined;
  private _result: IFolderResult | undefined;
  private _error: ApiError | undefined;
  private _replace = false;
  private _taskId = '';
  private _looking = new AbortController();
  private _isDisposed = false;
  private _changed = new Signal<this, void>(this);
}

/**
 * Milliseconds between two requests for a pull's state, while its dialog is
 * open.
 */
const POLL_MS = 500;
