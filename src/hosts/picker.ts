import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { MachineModel } from '../kernels/model';
import { ApiError, GIB } from '../core';

import { mayAsk } from './capacity-messages';
import type { TargetsModel } from './model';
import { NO_RESOURCES, ResourceChoice } from './resource-choice';
import type { IBestFit, IResources, ITarget } from './service';

/** The place where a notebook is to run: a target, or this machine. */
export interface IPlace {
  /** Null for this machine. */
  readonly target: ITarget | null;
  readonly kernelName: string;
  /** Limits the kernel to the chosen GPUs; empty without a choice. */
  readonly environment: Readonly<Record<string, string>>;
  /** Of the kernel's new host. A preset's kernel brings its own. */
  readonly resources: IResources;
}

/** Chooses where a notebook runs, with the present readings of each place. */
export class Picker implements IDisposable {
  constructor(
    readonly targets: TargetsModel,
    readonly machine: MachineModel,
    options: { here: string; kernelName: string; trans: TranslationBundle }
  ) {
    this._trans = options.trans;
    this._here = options.here;
    this.current = options.kernelName;
    this._watching = [targets.watch(), machine.watch()];
    targets.changed.connect(this._onTargets, this);
    machine.changed.connect(this._tell, this);
    this._onTargets();
  }

  /** The notebook's present kernel; empty without one. */
  readonly current: string;

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** The chosen target's name; empty for this machine. */
  get chosen(): string {
    return this._chosen;
  }
  set chosen(name: string) {
    if (!this._busy) {
      this._chosen = name;
      this._error = undefined;
      this._fit = undefined;
      this._chooseResources();
      this._askCapacity();
      this._changed.emit();
    }
  }

  /** The choice of a new host's resources, where the place has one. */
  get resources(): ResourceChoice | null {
    return this._resources;
  }

  /** Whether a target is being connected. */
  get busy(): boolean {
    return this._busy;
  }

  get error(): ApiError | undefined {
    return this._error;
  }

  /** Whether targets are asked for the best fit. */
  get isSearching(): boolean {
    return this._searching;
  }

  /**
   * The result of the last search; undefined before, and once the choice
   * changes.
   */
  get fit(): IBestFit | undefined {
    return this._fit;
  }

  /** The chosen place. */
  get place(): IPlace {
    const target = this.targets.find(this._chosen) ?? null;
    return {
      target,
      kernelName:
        this._resources?.preset?.kernel_name ??
        target?.kernel_name ??
        this._here,
      environment: this._fit?.target ? this._fit.environment : {},
      resources:
        this._resources && !this._resources.preset
          ? this._resources.resources
          : NO_RESOURCES
    };
  }

  /** Whether the notebook already runs in the chosen place. */
  get isThere(): boolean {
    const { kernelName, environment, resources } = this.place;
    return (
      Object.values(resources).every(value => value === null) &&
      this.current !== '' &&
      kernelName === this.current &&
      Object.keys(environment).length === 0
    );
  }

  /** Choose the place whose GPU fits this requirement best; GiB on one GPU. */
  async chooseFor(gibibytes: number): Promise<void> {
    this._searching = true;
    this._fit = undefined;
    this._changed.emit();
    try {
      const fit = await this.targets.service.bestFit(
        Math.round(gibibytes * GIB)
      );
      if (fit.target) {
        this._chosen = fit.target;
        this._error = undefined;
        this._chooseResources();
        this._resources?.chooseFit(fit.preset, fit.resources);
      }
      this._fit = fit;
    } catch (reason) {
      this._error = ApiError.from(reason, this._trans);
    }
    this._searching = false;
    this._changed.emit();
  }

  /**
   * Connect to the chosen place if needed. Resolves to whether a kernel can
   * start on it.
   */
  async connect(): Promise<boolean> {
    const { target } = this.place;
    if (this._busy) {
      return false;
    }
    // Where each kernel gets its own host, no host exists before the start.
    if (target?.allocates) {
      return this._saveResources();
    }
    if (!target || target.state === 'up') {
      return true;
    }
    this._busy = true;
    this._error = undefined;
    this._changed.emit();
    try {
      await this.targets.reach(target.name, this._abort.signal);
      return !this._isDisposed;
    } catch (reason) {
      this._error = ApiError.from(reason, this._trans);
    } finally {
      this._busy = false;
      this._changed.emit();
    }
    return false;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (!this._isDisposed) {
      this._isDisposed = true;
      this._abort.abort();
      this._watching.forEach(each => each.dispose());
      this._resources?.dispose();
      Signal.clearData(this);
    }
  }

  /** At first the notebook's present place is chosen. */
  private _onTargets(): void {
    if (!this._initial && this.targets.targets) {
      this._initial = true;
      this._chosen = this.targets.ofKernel(this.current)?.name ?? '';
      this._chooseResources();
    }
    this._changed.emit();
  }

  private _chooseResources(): void {
    const target = this.targets.find(this._chosen);
    if (target?.name !== this._resources?.target) {
      this._resources?.dispose();
      this._resources = null;
      if (target?.allocates) {
        this._resources = new ResourceChoice(
          target.name,
          this.targets.service,
          this._trans,
          this.current
        );
        this._resources.changed.connect(this._tell, this);
      }
    }
  }

  /** Ask the chosen cluster what it has free; a failure is said by its words. */
  private _askCapacity(): void {
    const target = this.targets.find(this._chosen);
    if (target?.allocates && mayAsk(target)) {
      this.targets.service.capacity(target.name).then(
        () => this.targets.list.refresh(),
        (reason: unknown) => {
          this._error = ApiError.from(reason, this._trans);
          this._changed.emit();
        }
      );
    }
  }

  /** Keep the resources as a preset where the user wants it. */
  private async _saveResources(): Promise<boolean> {
    this._busy = true;
    this._error = undefined;
    this._changed.emit();
    try {
      await this._resources?.save();
      return !this._isDisposed;
    } catch (reason) {
      this._error = ApiError.from(reason, this._trans);
    } finally {
      this._busy = false;
      this._changed.emit();
    }
    return false;
  }

  private _tell(): void {
    this._changed.emit();
  }

  private _trans: TranslationBundle;
  private _here: string;
  private _chosen = '';
  private _initial = false;
  private _busy = false;
  private _error: ApiError | undefined;
  private _resources: ResourceChoice | null = null;
  private _fit: IBestFit | undefined;
  private _watching: IDisposable[];
  private _abort = new AbortController();
  private _searching = false;
  private _isDisposed = false;
  private _changed = new Signal<this, void>(this);
}
