import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { IGenOpsCore } from '../core';
import { ApiError, Resource } from '../core';

import type {
  Addition,
  IEnvironmentSource,
  ITask,
  TargetsService
} from './service';

/**
 * `idle`: no build; then the choice, the build and, where it failed, the
 * reason.
 */
export type BuildStage = 'idle' | 'choosing' | 'running' | 'failed';

export interface IBuildFields {
  /** The path of a source; empty for only ipykernel. */
  source: string;
  mlflow: boolean;
  python: string;
  folder: string;
}

interface IProgress {
  task: ITask;
  lines: string[];
}

/**
 * Builds an environment on a target, or installs packages into the present one.
 */
export class BuildModel implements IDisposable {
  constructor(
    core: Pick<IGenOpsCore, 'events' | 'trans'>,
    private _service: TargetsService,
    private _options: BuildModel.IOptions
  ) {
    this._trans = core.trans;
    this._progress = new Resource<IProgress>({
      fetch: async signal => {
        const id = this._taskId;
        const task = await _service.task(id, signal);
        return { task, lines: await _service.taskLog(id, signal) };
      },
      events: core.events,
      kinds: ['task'],
      accepts: ({ id }) => id === '' || id === this._taskId,
      trans: core.trans
    });
    this._progress.changed.connect(this._onProgress, this);
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get stage(): BuildStage {
    return this._stage;
  }

  get fields(): Readonly<IBuildFields> {
    return this._fields;
  }

  /** Files of the project; undefined until they are read. */
  get sources(): readonly IEnvironmentSource[] | undefined {
    return this._sources;
  }

  /** Why the build cannot start, or its state cannot be read. */
  get error(): ApiError | undefined {
    return this._error;
  }

  /** The build's task; undefined before its start. */
  get task(): ITask | undefined {
    return this._latest?.task;
  }

  get lines(): readonly string[] | undefined {
    return this._latest?.lines;
  }

  /** The packages to install where nothing is built. */
  get additions(): readonly Addition[] {
    return this._additions;
  }

  set(part: Partial<IBuildFields>): void {
    this._fields = { ...this._fields, ...part };
    this._error = undefined;
    this._changed.emit();
  }

  /** Show the choice of what to build. */
  async choose(): Promise<void> {
    this._additions = [];
    this._latest = undefined;
    this._put('choosing');
    if (this._sources) {
      return;
    }
    try {
      this._sources = await this._service.sources(this._options.path);
    } catch (reason) {
      this._sources = [];
      this._fail(reason);
    }
    const best = this._sources.find(({ preferred }) => preferred);
    this._fields = { ...this._fields, source: best?.path ?? '' };
    this._changed.emit();
  }

  /** Build the chosen environment. */
  async build(): Promise<void> {
    const { source, mlflow, python, folder } = this._fields;
    await this._begin(() =>
      this._service.build(this._options.target(), {
        source,
        packages: mlflow ? ['mlflow'] : [],
        python: python.trim(),
        folder: folder.trim()
      })
    );
  }

  /** Install packages into the present environment. */
  async install(packages: Addition[]): Promise<void> {
    this._additions = packages;
    await this._begin(() =>
      this._service.install(this._options.target(), packages)
    );
  }

  /** Cancel the build; the host removes the unfinished environment. */
  async cancel(): Promise<void> {
    if (this._stage !== 'running' || this._cancelling) {
      return;
    }
    this._cancelling = true;
    this._changed.emit();
    try {
      await this._service.cancel(this._taskId);
    } catch (reason) {
      // A build that has just ended cannot be cancelled.
      if (ApiError.from(reason, this._trans).code !== 'conflict') {
        this._fail(reason);
      }
    } finally {
      this._cancelling = false;
      await this._progress.refresh();
    }
  }

  /** Whether a cancel was requested and the build has not ended yet. */
  get isCancelling(): boolean {
    return this._cancelling;
  }

  /** Go back to the steps of the test. */
  leave(): void {
    this._put('idle');
  }

  get isDisposed(): boolean {
    return this._progress.isDisposed;
  }

  dispose(): void {
    this._progress.dispose();
    Signal.clearData(this);
  }

  private async _begin(start: () => Promise<ITask>): Promise<void> {
    if (this._stage === 'running') {
      return;
    }
    const from = this._stage;
    this._latest = undefined;
    this._put('running');
    try {
      const task = await start();
      this._taskId = task.id;
    } catch (reason) {
      this._put(from);
      this._fail(reason);
      return;
    }
    this._progress.visible = true;
    await this._progress.refresh();
  }

  private _onProgress(): void {
    const { value, error, state } = this._progress.snapshot;
    // The list may still have an earlier task.
    if (this._stage !== 'running' || value?.task.id !== this._taskId) {
      return;
    }
    this._latest = value;
    this._error = state === 'down' ? error : undefined;
    if (value.task.state === 'running') {
      this._changed.emit();
      return;
    }
    this._progress.visible = false;
    if (value.task.state === 'done') {
      this._put('idle');
      this._options.onDone();
    } else if (value.task.state === 'cancelled' && this._additions.length) {
      this._put('idle');
    } else if (value.task.state === 'cancelled') {
      this._put('choosing');
    } else {
      this._put('failed');
    }
  }

  private _put(stage: BuildStage): void {
    this._stage = stage;
    this._error = undefined;
    this._changed.emit();
  }

  private _fail(reason: unknown): void {
    this._error = ApiError.from(reason, this._trans);
    this._changed.emit();
  }

  private _trans: TranslationBundle;
  private _stage: BuildStage = 'idle';
  private _fields: IBuildFields = {
    source: '',
    mlflow: false,
    python: '',
    folder: ''
  };
  private _sources: readonly IEnvironmentSource[] | undefined;
  private _additions: readonly Addition[] = [];
  private _error: ApiError | undefined;
  private _taskId = '';
  private _cancelling = false;
  private _latest: IProgress | undefined;
  private _progress: Resource<IProgress>;
  private _changed = new Signal<this, void>(this);
}

export namespace BuildModel {
  export interface IOptions {
    /** Returns the target's name. */
    target: () => string;
    /**
     * A notebook or folder on this machine; the files of its project are
     * offered.
     */
    path: string;
    /** Called when the target has its new environment. */
    onDone: () => void;
  }
}
