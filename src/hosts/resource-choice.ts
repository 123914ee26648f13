import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import { ApiError, GIB } from '../core';

import { declaredWords } from './messages';
import type {
  IFormField,
  IHostRequest,
  IPreset,
  IResourceForm,
  IResources,
  TargetsService
} from './service';

/** A host as its target's configuration says. */
export const NO_RESOURCES: IResources = {
  gpus: null,
  gpu_type: null,
  cpus: null,
  memory_bytes: null,
  time_s: null
};

/** What one unit in the form is on the wire: GiB, hours. */
const UNITS: Readonly<Record<string, number>> = {
  memory_bytes: GIB,
  time_s: 3600
};

/**
 * The resources that a user chooses for the new host of a kernel: a preset, or
 * fields with the limits of the administrator, which may be kept as a preset.
 */
export class ResourceChoice implements IDisposable {
  constructor(
    readonly target: string,
    private _service: TargetsService,
    private _trans: TranslationBundle,
    /** The preset that the notebook has now; empty without one. */
    kernelName = ''
  ) {
    this._kernelName = kernelName;
    _service.resources(target).then(
      form => this._set(() => this._take(form)),
      (reason: unknown) =>
        this._set(() => {
          this._error = ApiError.from(reason, _trans);
        })
    );
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** The fields and presets; undefined until they are read. */
  get form(): IResourceForm | undefined {
    return this._form;
  }

  get error(): ApiError | undefined {
    return this._error;
  }

  /** The chosen preset; undefined for resources of this start alone. */
  get preset(): IPreset | undefined {
    return this._preset;
  }

  /** Choose a preset by its name; empty for the target's own resources. */
  choosePreset(name: string): void {
    this._set(() => {
      this._preset = this._form?.presets.find(each => each.name === name);
      this._typed = typed(this._preset?.resources ?? NO_RESOURCES);
    });
  }

  /** Choose a best fit: its preset, or its resources; also before the form is read. */
  chooseFit(preset: string, resources: IResources): void {
    this._set(() => {
      this._fit = { preset, resources };
      this._takeFit();
    });
  }

  /** A field's text, in its unit. */
  text(field: IFormField): string {
    return this._typed[field.name] ?? '';
  }

  /** Change a field: the resources are no longer those of the preset. */
  setText(name: string, value: string): void {
    this._set(() => {
      this._preset = undefined;
      this._typed = { ...this._typed, [name]: value };
    });
  }

  /** Whether the resources are kept as a preset. */
  get keeps(): boolean {
    return this._keeps && !this._preset && this.isGiven;
  }
  set keeps(value: boolean) {
    this._set(() => {
      this._keeps = value;
    });
  }

  /** The name of the new preset; empty for one made of its resources. */
  get name(): string {
    return this._name;
  }
  set name(value: string) {
    this._set(() => {
      this._name = value;
    });
  }

  /** Whether any resource is chosen. */
  get isGiven(): boolean {
    return Object.values(this.resources).some(value => value !== null);
  }

  /** Why a field's text is refused; empty while it is not. */
  problem(field: IFormField): string {
    const trans = this._trans;
    const text = this.text(field).trim();
    if (!text || field.widget !== 'number') {
      return '';
    }
    const value = numberOf(text);
    const unit = UNITS[field.name] ?? 1;
    if (!Number.isFinite(value) || value < 0) {
      return trans.__('Give a number of 0 or more.');
    }
    if (field.name === 'gpus' && !Number.isInteger(value)) {
      return trans.__('Give a whole number.');
    }
    if (field.minimum !== null && value * unit < field.minimum) {
      return trans.__('At least %1.', field.minimum / unit);
    }
    if (field.maximum !== null && value * unit > field.maximum) {
      return trans.__('At most %1.', field.maximum / unit);
    }
    return '';
  }

  get valid(): boolean {
    return (
      !this._fit &&
      (this._form?.fields ?? []).every(field => !this.problem(field))
    );
  }

  /** The resources on the wire, in bytes and seconds. */
  get resources(): IResources {
    const found: Record<string, string | number | null> = { ...NO_RESOURCES };
    for (const field of this._form?.fields ?? []) {
      const text = this.text(field).trim();
      if (text && !field.locked) {
        found[field.name] =
          field.widget === 'number' ? wire(field.name, numberOf(text)) : text;
      }
    }
    return found as unknown as IResources;
  }

  /** What a start with this choice sends to its scheduler. */
  request(): Promise<IHostRequest> {
    const { preset, resources } = this;
    const given = Object.entries(resources).filter(([, each]) => each !== null);
    return this._service.request(
      this.target,
      preset ? { preset: preset.name } : Object.fromEntries(given)
    );
  }

  /** Keep the resources as a preset if asked. @returns the kernel to start. */
  async save(): Promise<string> {
    if (this.keeps) {
      this._preset = await this._service.addPreset(this.target, {
        name: this._name.trim(),
        resources: this.resources,
        price_per_hour: null
      });
    }
    return this._preset?.kernel_name ?? '';
  }

  /** The label of a field, with its unit. */
  label(field: IFormField): string {
    const { _trans: trans } = this;
    switch (field.name) {
      case 'memory_bytes':
        return trans.__('Memory (GiB)');
      case 'time_s':
        return trans.__('Time (hours)');
      default:
        return declaredWords(field.label, trans);
    }
  }

  /** The target's own value of a field; empty where it is not known. */
  usual(field: IFormField): string {
    const text = shown(field.name, field.default as string | number | null);
    return UNITS[field.name] && text
      ? String(Number(Number(text).toPrecision(3)))
      : text;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    this._isDisposed = true;
    Signal.clearData(this);
  }

  private _take(form: IResourceForm): void {
    this._form = form;
    this._preset = form.presets.find(
      ({ kernel_name }) => kernel_name === this._kernelName
    );
    this._typed = typed(this._preset?.resources ?? NO_RESOURCES);
    this._takeFit();
  }

  private _takeFit(): void {
    const { _fit: fit, _form: form } = this;
    if (fit && form) {
      this._preset = form.presets.find(({ name }) => name === fit.preset);
      this._typed = typed(this._preset?.resources ?? fit.resources);
      this._fit = undefined;
    }
  }

  private _set(change: () => void): void {
    if (!this._isDisposed) {
      change();
      this._changed.emit();
    }
  }

  private _kernelName: string;
  private _form: IResourceForm | undefined;
  private _error: ApiError | undefined;
  private _preset: IPreset | undefined;
  private _typed: Readonly<Record<string, string>> = {};
  private _fit: { preset: string; resources: IResources } | undefined;
  private _keeps = false;
  private _name = '';
  private _isDisposed = false;
  private _changed = new Signal<this, void>(this);
}

function numberOf(text: string): number {
  return Number(text.replace(',', '.'));
}

function wire(name: string, value: number): number {
  const unit = UNITS[name];
  return unit ? Math.round(value * unit) : value;
}

function shown(name: string, value: string | number | null): string {
  return typeof value === 'number'
    ? String(Number((value / (UNITS[name] ?? 1)).toPrecision(6)))
    : (value ?? '');
}

function typed(resources: IResources): Record<string, string> {
  return Object.fromEntries(
    Object.entries(resources).map(([name, value]) => [name, shown(name, value)])
  );
}
