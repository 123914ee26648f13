import { PromiseDelegate } from '@lumino/coreutils';
import type { IDisposable } from '@lumino/disposable';
import { DisposableDelegate } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { IGenOpsCore } from '../core';
import { ApiError, Resource } from '../core';
import type { IDriven } from '../panel';

import type { ITarget, ITargetKernels } from './service';
import { TargetsService } from './service';

/** The number of readings that the sparklines keep. */
export const HISTORY = 60;

/** The use of all GPUs of a target, in percent, oldest first. */
export interface IGpuHistory {
  readonly memory: readonly number[];
  readonly busy: readonly number[];
}

/** Milliseconds between two reads of the list while a connection is awaited. */
const WAITING_MS = 2000;

const NO_HISTORY: IGpuHistory = { memory: [], busy: [] };

/**
 * The targets and their readings.
 *
 * The list is read on request and after each event; readings come by the live
 * topic `targets`. Both happen only while somebody {@link watch}es, so that no
 * host is read unseen.
 */
export class TargetsModel implements IDisposable, IDriven {
  constructor(private _core: IGenOpsCore) {
    this.service = new TargetsService(_core.api);
    this.list = new Resource({
      fetch: signal => this.service.list(signal),
      events: _core.events,
      kinds: ['target'],
      trans: _core.trans
    });
    this.list.changed.connect((_, { value }) => {
      if (value && value !== this._fetched) {
        this._fetched = value;
        this._take(value);
      } else {
        this._changed.emit();
      }
    }, this);
  }

  readonly service: TargetsService;
  readonly list: Resource<ITarget[]>;

  /** Emitted with each list, and when the server is lost or back. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** The latest list; undefined before the first. */
  get targets(): readonly ITarget[] | undefined {
    return this._targets;
  }

  /**
   * Whether the Jupyter server itself does not answer: the list is then an old
   * one.
   */
  get isServerAway(): boolean {
    return this.list.state === 'down' && this.list.error?.status === 0;
  }

  /** A target by its name. */
  find(name: string): ITarget | undefined {
    return this._targets?.find(each => each.name === name);
  }

  /** The target of a kernelspec, or of one of its presets. */
  ofKernel(kernelName: string): ITarget | undefined {
    return this._targets?.find(
      ({ kernel_name, presets }) =>
        kernel_name === kernelName ||
        presets.some(preset => preset.kernel_name === kernelName)
    );
  }

  history(name: string): IGpuHistory {
    return this._history.get(name) ?? NO_HISTORY;
  }

  /**
   * Follow the targets until the returned disposable is disposed; several may
   * watch at once.
   */
  watch(): IDisposable {
    this._watchers += 1;
    this._update();
    return new DisposableDelegate(() => {
      this._watchers -= 1;
      this._update();
    });
  }

  /**
   * Make the server look for the ends of hosts while the page is visible, until
   * the returned disposable is disposed.
   */
  attend(): IDisposable {
    return this._core.live.subscribe('host-ends', () => undefined);
  }

  /**
   * Whether a section of the panel shows the targets; the section then {@link
   * watch}es.
   */
  get visible(): boolean {
    return this._shown !== null;
  }
  set visible(value: boolean) {
    if (value !== this.visible) {
      this._shown?.dispose();
      this._shown = value ? this.watch() : null;
    }
  }

  /**
   * Connect, and wait for the result; questions are asked meanwhile.
   *
   * @returns the target afterwards: `up`, or `failed` with the reason.
   */
  async connect(name: string, signal?: AbortSignal): Promise<ITarget> {
    let latest = await this.service.connect(name);
    const watching = this.watch();
    try {
      // The list may still show an earlier attempt: only a list read from now
      // on counts.
      while (isUnderWay(latest) && !signal?.aborted) {
        await this._next(signal);
        if (!signal?.aborted) {
          latest = await this.service.get(name);
        }
      }
      await this.list.refresh();
      return latest;
    } finally {
      watching.dispose();
    }
  }

  /**
   * {@link connect}, and reject with an ApiError with the reason where it
   * fails.
   */
  async reach(name: string, signal?: AbortSignal): Promise<void> {
    const { state, message, hint } = await this.connect(name, signal);
    if (state !== 'up') {
      throw new ApiError({
        status: 503,
        code: 'not_connected',
        message:
          message ||
          this._core.trans.__('The connection to “%1” failed.', name),
        hint
      });
    }
  }

  /** Wait for the next change; where live updates are off, for a short time. */
  private async _next(signal?: AbortSignal): Promise<void> {
    const next = new PromiseDelegate<void>();
    const tell = () => next.resolve();
    const timer = window.setTimeout(tell, WAITING_MS);
    this.changed.connect(tell, tell);
    signal?.addEventListener('abort', tell);
    await next.promise;
    window.clearTimeout(timer);
    this.changed.disconnect(tell, tell);
    signal?.removeEventListener('abort', tell);
  }

  /**
   * The kernels on a target; the caller makes the resource visible and disposes
   * it.
   */
  kernels(name: string): Resource<ITargetKernels> {
    return new Resource({
      fetch: signal => this.service.kernels(name, signal),
      events: this._core.events,
      kinds: ['target'],
      accepts: ({ id }) => id === '' || id === name,
      isEmpty: ({ connected, kernels }) => connected && kernels.length === 0,
      trans: this._core.trans
    });
  }

  get isDisposed(): boolean {
    return this.list.isDisposed;
  }

  dispose(): void {
    if (!this.isDisposed) {
      this.list.dispose();
      this._subscription?.dispose();
      Signal.clearData(this);
    }
  }

  private _update(): void {
    const wanted = this._watchers > 0 && !this.isDisposed;
    this.list.visible = wanted;
    if (wanted && !this._subscription) {
      this._subscription = this._core.live.subscribe<ITarget[]>(
        'targets',
        targets => this._take(targets)
      );
    } else if (!wanted) {
      this._subscription?.dispose();
      this._subscription = null;
    }
  }

  private _take(targets: readonly ITarget[]): void {
    const before = this._targets;
    this._targets = targets;
    for (const { name, reading } of targets) {
      const last = before?.find(each => each.name === name)?.reading;
      if (reading && reading.sampled_at !== last?.sampled_at) {
        this._history.set(name, extend(this.history(name), reading.gpus));
      }
    }
    this._changed.emit();
  }

  private _subscription: IDisposable | null = null;
  private _shown: IDisposable | null = null;
  private _watchers = 0;
  private _fetched: readonly ITarget[] | undefined;
  private _targets: readonly ITarget[] | undefined;
  private _history = new Map<string, IGpuHistory>();
  private _changed = new Signal<this, void>(this);
}

/** The targets with this machine first, where it is a target of its own. */
export function inOrder(targets: readonly ITarget[]): ITarget[] {
  const isHere = (each: ITarget) => each.is_this_machine;
  return [...targets].sort((a, b) => Number(isHere(b)) - Number(isHere(a)));
}

/**
 * A target for the notebook of one kernel: where each kernel has its own host,
 * with that host's connection and reading.
 */
export function asKernelSees(target: ITarget, kernelId: string): ITarget {
  const host = target.hosts.find(({ host_id }) => host_id === kernelId);
  if (!host) {
    return target;
  }
  const { state, since, rtt_s, message, hint, reading, reading_age_s } = host;
  return {
    ...target,
    state,
    since,
    rtt_s,
    message,
    hint,
    reading,
    reading_age_s
  };
}

/**
 * Whether a target is connecting: the result follows by itself, or after an
 * answer.
 */
export function isUnderWay({ state }: ITarget): boolean {
  return ['connecting', 'asking', 'pending'].includes(state);
}

/**
 * The use of all GPUs of a host together, in percent; null where a driver does
 * not report it.
 */
export function gpuShares(
  gpus: readonly {
    memory_total_bytes: number | null;
    memory_used_bytes: number | null;
    utilization_percent: number | null;
  }[]
): { memory: number | null; busy: number | null } {
  let [used, total, busy, measured] = [0, 0, 0, 0];
  for (const gpu of gpus) {
    if (gpu.memory_total_bytes !== null && gpu.memory_used_bytes !== null) {
      used += gpu.memory_used_bytes;
      total += gpu.memory_total_bytes;
    }
    if (gpu.utilization_percent !== null) {
      busy += gpu.utilization_percent;
      measured += 1;
    }
  }
  return {
    memory: total > 0 ? (100 * used) / total : null,
    busy: measured > 0 ? busy / measured : null
  };
}

function extend(
  history: IGpuHistory,
  gpus: Parameters<typeof gpuShares>[0]
): IGpuHistory {
  const { memory, busy } = gpuShares(gpus);
  return {
    memory:
      memory === null
        ? history.memory
        : [...history.memory, memory].slice(-HISTORY),
    busy: busy === null ? history.busy : [...history.busy, busy].slice(-HISTORY)
  };
}
