import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import { ApiError } from '../core';

import type { IFolderResult, IFolderState, TargetsService } from './service';

/** `looking` compares both sides, `ready` waits for the person, `bringing` goes on, `done` has a result. */
export type PullState = 'looking' | 'ready' | 'bringing' | 'done' | 'failed';

/** Brings what is new or changed in a notebook's folder on a target, once the person has seen what that is. */
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

  /** What both sides have; undefined until it was looked at. */
  get folder(): IFolderState | undefined {
    return this._folder;
  }

  get result(): IFolderResult | undefined {
    return this._result;
  }

  get error(): ApiError | undefined {
    return this._error;
  }

  /** Whether files that changed on both sides come too, the person's own being kept beside them. */
  get replace(): boolean {
    return this._replace;
  }
  set replace(value: boolean) {
    this._replace = value;
    this._changed.emit();
  }

  /** How many files would come now. */
  get count(): number {
    const { to_bring_count = 0, conflicts = [] } = this._folder ?? {};
    return to_bring_count + (this._replace ? conflicts.length : 0);
  }

  /** Bring them. */
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

  /** Stop what goes on; what has come stays. */
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

/** How often a passage that goes on is asked for, while its dialog is open. */
const POLL_MS = 500;
