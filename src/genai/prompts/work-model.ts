import type { IDisposable } from '@lumino/disposable';

import type { Kind } from '../../core/events';
import { Resource } from '../../core/resource';
import type { IGenOpsCore } from '../../core/tokens';
import type { ITask } from '../../tasks/service';
import { TasksService } from '../../tasks/service';
import type { ITaskNotifier } from '../../tasks/tokens';

/** Durable work on an object, and its tasks. */
export interface IWork<T> {
  readonly found: T;
  /** The task that works on it now. */
  readonly task: ITask | undefined;
  /** The last task, if it failed. */
  readonly failed: ITask | undefined;
}

/** The durable work of one kind on one object: its list, newest first, and the chosen work. */
export abstract class WorkModel<
  S extends { id: string },
  T extends S
> implements IDisposable {
  /**
   * @param subject what stands before the id in the subject of a task.
   * @param kind the kind of the events that name the object.
   * @param _notifier has no notification of the chosen work while it is seen.
   */
  constructor(
    core: Pick<IGenOpsCore, 'api' | 'events' | 'trans'>,
    private _subject: string,
    kind: Kind,
    private _notifier: ITaskNotifier | null
  ) {
    const { api, events, trans } = core;
    this.api = api;
    this._tasks = new TasksService(api);
    this.list = new Resource<S[]>({
      fetch: async signal =>
        this.name ? this.fetchList(this.name, signal) : [],
      events,
      kinds: [kind],
      accepts: ({ id }) => !id || id === this.name,
      trans
    });
    this.chosen = new Resource<IWork<T> | null>({
      fetch: signal => this._get(signal),
      events,
      kinds: [kind, 'task'],
      accepts: event =>
        event.kind === kind || this.isLive(this.chosen.value?.found),
      isEmpty: found => found === null,
      trans
    });
    this.chosen.changed.connect(this._mute, this);
  }

  readonly list: Resource<S[]>;
  readonly chosen: Resource<IWork<T> | null>;

  /** Show the work on an object, the newest first. */
  show(name: string): void {
    if (name !== this.name) {
      this.name = name;
      this._id = '';
      void this.list.refresh();
      void this.chosen.refresh();
    }
  }

  choose(id: string): Promise<void> {
    this._id = id;
    return this.chosen.refresh();
  }

  set visible(value: boolean) {
    this.list.visible = value;
    this.chosen.visible = value;
    this._mute();
  }

  /** Go on with work that was cancelled or that failed. */
  async resume(id: string): Promise<void> {
    await this.sendResume(id);
    await this.chosen.refresh();
  }

  async cancel(task: string): Promise<void> {
    await this._tasks.cancel(task);
    await this.refresh();
  }

  get isDisposed(): boolean {
    return this.list.isDisposed;
  }

  dispose(): void {
    this.list.dispose();
    this.chosen.dispose();
    this._muted?.dispose();
  }

  protected abstract fetchList(name: string, signal: AbortSignal): Promise<S[]>;
  protected abstract fetchOne(id: string, signal: AbortSignal): Promise<T>;
  protected abstract sendResume(id: string): Promise<unknown>;

  /** Whether the chosen work is fetched again at each step of its task. */
  protected isLive(_found: T | undefined): boolean {
    return true;
  }

  /** Choose the work of a task that began now. */
  protected async begun(task: ITask): Promise<void> {
    this._id = (task.subject ?? '').slice(this._subject.length);
    this._mute();
    await this.refresh();
  }

  protected async refresh(): Promise<void> {
    await Promise.all([this.list.refresh(), this.chosen.refresh()]);
  }

  /** The page shows the progress itself, so a notification would only cover it. */
  private _mute(): void {
    const id = this._id || this.chosen.value?.found.id;
    const subject = this.chosen.visible && id ? this._subject + id : '';
    if (subject !== this._quiet) {
      this._quiet = subject;
      this._muted?.dispose();
      this._muted = subject ? this._notifier?.mute(subject) : undefined;
    }
  }

  private async _get(signal: AbortSignal): Promise<IWork<T> | null> {
    const id =
      this._id ||
      (this.name && (await this.fetchList(this.name, signal))[0]?.id);
    if (!id) {
      return null;
    }
    const [found, tasks] = await Promise.all([
      this.fetchOne(id, signal),
      this._tasks.list(signal)
    ]);
    const last = tasks.find(({ subject }) => subject === this._subject + id);
    return {
      found,
      task: last?.finished_at === null ? last : undefined,
      failed: last?.state === 'failed' ? last : undefined
    };
  }

  protected api: IGenOpsCore['api'];
  /** The name of the object. */
  protected name = '';
  private _tasks: TasksService;
  private _id = '';
  /** The subject without notifications. */
  private _quiet = '';
  private _muted?: IDisposable;
}
