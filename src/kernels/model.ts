import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import { DisposableDelegate } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { GenOpsEvents, LiveChannel } from '../core';
import { Resource } from '../core';
import type { ISection } from '../panel';

import type { IMachineReading } from './service';

/** The number of readings that the sparklines keep. */
export const HISTORY = 60;

/** Percent of the CPU and of the memory, oldest first. */
export interface IHistory {
  readonly cpu: readonly number[];
  readonly memory: readonly number[];
}

/**
 * The readings of this machine.
 *
 * The first comes by request, the others by the live topic `machine`, both only
 * while somebody {@link watch}es.
 */
export class MachineModel implements IDisposable {
  constructor(options: MachineModel.IOptions) {
    this._live = options.live;
    this.resource = new Resource<IMachineReading>({
      fetch: options.fetch,
      trans: options.trans,
      events: options.events,
      kinds: ['machine']
    });
    this.resource.changed.connect((_, { value }) => {
      if (value && value !== this._fetched) {
        this._fetched = value;
        this._take(value);
      }
    }, this);
  }

  /** The first reading, and whether the backend is down. */
  readonly resource: Resource<IMachineReading>;

  /** Emitted with each reading. */
  get changed(): ISignal<this, IMachineReading> {
    return this._changed;
  }

  /** The latest reading, from a request or the live topic. */
  get reading(): IMachineReading | undefined {
    return this._reading;
  }

  get history(): IHistory {
    return this._history;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  /**
   * Read until the returned disposable is disposed; several may watch at once.
   */
  watch(): IDisposable {
    this._watchers += 1;
    this._update();
    return new DisposableDelegate(() => {
      this._watchers -= 1;
      this._update();
    });
  }

  /** Read while a section of the panel is visible. */
  watchWhile(section: ISection): void {
    let watching: IDisposable | null = null;
    const follow = (seen: boolean) => {
      watching?.dispose();
      watching = seen ? this.watch() : null;
    };
    section.seenChanged.connect((_, seen) => follow(seen), this);
    follow(section.isSeen);
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    this._update();
    this.resource.dispose();
    Signal.clearData(this);
  }

  private _update(): void {
    const wanted = this._watchers > 0 && !this._isDisposed;
    this.resource.visible = wanted;
    if (wanted && !this._subscription) {
      this._subscription = this._live.subscribe<IMachineReading>(
        'machine',
        reading => this._take(reading)
      );
    } else if (!wanted) {
      this._subscription?.dispose();
      this._subscription = null;
    }
  }

  private _take(reading: IMachineReading): void {
    const { machine } = reading;
    if (
      this._reading &&
      machine.sampled_at < this._reading.machine.sampled_at
    ) {
      return;
    }
    this._reading = reading;
    const { cpu, memory } = this._history;
    this._history = {
      cpu: [...cpu, machine.cpu_percent].slice(-HISTORY),
      memory: [
        ...memory,
        (100 * machine.memory_used_bytes) /
          Math.max(1, machine.memory_total_bytes)
      ].slice(-HISTORY)
    };
    this._changed.emit(reading);
  }

  private _live: LiveChannel;
  private _subscription: IDisposable | null = null;
  private _watchers = 0;
  private _fetched: IMachineReading | undefined;
  private _reading: IMachineReading | undefined;
  private _history: IHistory = { cpu: [], memory: [] };
  private _changed = new Signal<this, IMachineReading>(this);
  private _isDisposed = false;
}

export namespace MachineModel {
  export interface IOptions {
    live: LiveChannel;
    events: GenOpsEvents;
    trans: TranslationBundle;
    fetch: (signal: AbortSignal) => Promise<IMachineReading>;
  }
}
