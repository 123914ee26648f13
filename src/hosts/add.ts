import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { IGenOpsCore } from '../core';
import { ApiError, Resource } from '../core';

import { BuildModel } from './build';
import type { IFolderFields } from './folder-policy';
import {
  DEFAULT_POLICY,
  folderFields,
  folderProblems,
  withFolder
} from './folder-policy';
import type {
  ICandidate,
  IFormField,
  INewTarget,
  ITargetKind,
  ITargetReport,
  TargetsService
} from './service';

export interface IAddFields extends IFolderFields {
  kind: string;
  /**
   * The configuration of the kind, as typed; missing fields have their
   * defaults.
   */
  config: Readonly<Record<string, string | boolean>>;
  name: string;
  /** As typed; USD an hour. */
  price: string;
  /** Hosts of the ssh_config; undefined until they are read. */
  candidates: readonly ICandidate[] | undefined;
  /** The kinds of targets; only a host over SSH until they are read. */
  kinds: readonly ITargetKind[];
}

/**
 * `fields` are being typed, `adding` is sent, `testing` runs, `tested` has
 * ended.
 */
export type AddStage = 'fields' | 'adding' | 'testing' | 'tested';

/**
 * Adds a target and tests it step by step, or tests an existing one.
 *
 * When the user leaves before the end, the target that was added for the test
 * is removed, unless the user keeps it.
 */
export class AddTarget implements IDisposable {
  constructor(
    core: Pick<IGenOpsCore, 'events' | 'trans'>,
    private _service: TargetsService,
    start: { host?: string; existing?: string; project?: string } = {}
  ) {
    this._trans = core.trans;
    this._name = start.existing ?? '';
    this.existing = Boolean(start.existing);
    const host = start.host ?? '';
    this._fields = {
      kind: 'ssh',
      config: host ? { host } : {},
      name: host ? defaultName(host) : '',
      price: '',
      ...folderFields(DEFAULT_POLICY),
      candidates: undefined,
      kinds: [
        {
          kind: 'ssh',
          label: '',
          fields: [hostField(this._trans)],
          steps: [],
          name_pattern: ''
        }
      ]
    };
    this.report = new Resource<ITargetReport>({
      fetch: signal => _service.report(this._name, signal),
      events: core.events,
      kinds: ['target'],
      accepts: ({ id }) => id === '' || id === this._name,
      trans: core.trans
    });
    this.report.changed.connect(this._onReport, this);
    this.build = new BuildModel(core, _service, {
      target: () => this._name,
      path: start.project ?? '',
      onDone: () => void this.test()
    });
    this.build.changed.connect(() => this._changed.emit(), this);
  }

  /** Whether the target existed before. */
  readonly existing: boolean;
  readonly report: Resource<ITargetReport>;
  /** Builds an environment for a target that lacks packages. */
  readonly build: BuildModel;

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get fields(): Readonly<IAddFields> {
    return this._fields;
  }

  get stage(): AddStage {
    return this._stage;
  }

  /** Why adding or testing failed. */
  get error(): ApiError | undefined {
    return this._error;
  }

  /** The name of the tested target. */
  get name(): string {
    return this._name;
  }

  /** The steps so far. */
  get steps(): ITargetReport['steps'] {
    return this._current?.steps ?? [];
  }

  /** The result of the test; undefined before its end. */
  get outcome(): ITargetReport['state'] | undefined {
    return this._stage === 'tested' ? this._current?.state : undefined;
  }

  /** Whether the target works, with warnings or without. */
  get works(): boolean {
    return this.outcome === 'ok' || this.outcome === 'warning';
  }

  get nameProblem(): string {
    const { name } = this._fields;
    return name === '' || isWhole(this.kind.name_pattern, name)
      ? ''
      : this._trans.__(
          'Use up to 57 lowercase letters, digits, “.”, “_” and “-”. Begin with a letter or a digit.'
        );
  }

  get priceProblem(): string {
    return this._price === undefined
      ? this._trans.__('Enter a number such as 2.10, or leave it empty.')
      : '';
  }

  get valid(): boolean {
    const { name } = this._fields;
    const folder = folderProblems(this._fields, this._trans);
    return (
      name !== '' &&
      this.nameProblem === '' &&
      this.kind.fields.every(
        field => this.problem(field) === '' && !this._lacks(field)
      ) &&
      this._price !== undefined &&
      folder.size === '' &&
      folder.files === ''
    );
  }

  /** The chosen kind of target. */
  get kind(): ITargetKind {
    const { kind, kinds } = this._fields;
    return kinds.find(each => each.kind === kind) ?? kinds[0];
  }

  /** The value of a field of the kind's form. */
  value(field: IFormField): string | boolean {
    const { config } = this._fields;
    const typed = field.locked ? undefined : config[field.name];
    if (typed !== undefined) {
      return typed;
    }
    const { default: given } = field as { default?: unknown };
    return typeof given === 'boolean' ? given : String(given ?? '');
  }

  /** Why a field's value is invalid, by the server's own limits and pattern; empty for an empty field. */
  problem(field: IFormField): string {
    const text = String(this.value(field)).trim();
    if (text === '') {
      return '';
    }
    if (field.widget !== 'number') {
      return this._isText(field, text)
        ? ''
        : field.hint || this._trans.__('This value is not allowed.');
    }
    const { minimum, maximum } = field;
    const value = Number(text);
    return Number.isFinite(value) &&
      value >= (minimum ?? -Infinity) &&
      value <= (maximum ?? Infinity)
      ? ''
      : field.hint || this._trans.__('Enter a number.');
  }

  set(part: Partial<IAddFields>): void {
    this._fields = { ...this._fields, ...part };
    this._error = undefined;
    this._changed.emit();
  }

  /** Change a field of the kind's form. */
  setField(field: string, value: string | boolean): void {
    this.set({ config: { ...this._fields.config, [field]: value } });
  }

  /** Change the kind; fields that both kinds have keep their values. */
  setKind(kind: string): void {
    this.set({ kind });
  }

  /** Change the host, and also the name unless the user changed it. */
  setHost(host: string): void {
    const known = this._fields.candidates?.find(({ alias }) => alias === host);
    this.setField('host', host);
    if (!this._named) {
      this.set({ name: known?.name ?? defaultName(host) });
    }
  }

  setName(name: string): void {
    this._named = name !== '';
    this.set({ name });
  }

  /** Read the hosts that can be chosen. */
  async load(): Promise<void> {
    let candidates: ICandidate[] = [];
    let { kinds } = this._fields;
    try {
      [candidates, kinds] = await Promise.all([
        this._service.candidates(),
        this._service.kinds()
      ]);
    } catch (reason) {
      this._fail(reason);
    }
    this._fields = { ...this._fields, candidates, kinds };
    this._changed.emit();
  }

  /** Add the target and start its test. */
  async add(): Promise<void> {
    if (this._stage !== 'fields' || !this.valid) {
      return;
    }
    const { name } = this._fields;
    this._put('adding');
    try {
      const added = await this._service.add({
        name,
        ...NOT_BESIDE,
        kind: this.kind.kind,
        config: this._config() as INewTarget['config'],
        price_per_hour: this._price ?? null,
        secrets: [],
        policy: withFolder(DEFAULT_POLICY, this._fields, this._trans)
      });
      this._name = added.name;
    } catch (reason) {
      this._put('fields');
      this._fail(reason);
      return;
    }
    await this.test();
  }

  /** Start the test; each step appears when it is done. */
  async test(): Promise<void> {
    this._current = undefined;
    this._error = undefined;
    this._taskId = '';
    this._put('testing');
    try {
      const task = await this._service.test(this._name);
      this._taskId = task.id;
    } catch (reason) {
      this._put('tested');
      this._fail(reason);
      return;
    }
    if (!this._isDisposed) {
      this.report.visible = true;
      await this.report.refresh();
    }
  }

  /** Go back to the form and remove the target that was added. */
  async back(): Promise<void> {
    await this._undo();
    this._put('fields');
  }

  /** Close without the target. */
  async discard(): Promise<void> {
    await this._undo();
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (!this._isDisposed) {
      this._isDisposed = true;
      this.report.dispose();
      this.build.dispose();
      Signal.clearData(this);
    }
  }

  private get _price(): number | null | undefined {
    const text = this._fields.price.trim().replace(',', '.');
    if (text === '') {
      return null;
    }
    const price = Number(text);
    return Number.isFinite(price) && price >= 0 ? price : undefined;
  }

  /** Whether a text matches its field's pattern; of `user@host` each part its own. */
  private _isText(field: IFormField, text: string): boolean {
    if (field.name !== 'host' || this.kind.kind !== 'ssh') {
      return isWhole(field.pattern, text);
    }
    const { user, host } = address(text);
    const ofUser = this.kind.fields.find(({ name }) => name === 'user');
    return (
      isWhole(field.pattern, host) &&
      (user === '' || isWhole(ofUser?.pattern, user))
    );
  }

  private _lacks(field: IFormField): boolean {
    return field.required && String(this.value(field)).trim() === '';
  }

  /** The typed values in the server's format. */
  private _config(): Record<string, unknown> {
    const config: Record<string, unknown> = {};
    for (const field of this.kind.fields) {
      const typed = this._fields.config[field.name];
      const value = typeof typed === 'string' ? typed.trim() : typed;
      if (field.locked || value === undefined || value === '') {
        continue;
      }
      if (field.name === 'host' && this.kind.kind === 'ssh') {
        const { host, user, port } = address(String(value));
        config.host = host;
        config.user ??= user;
        config.port ??= port;
      } else {
        config[field.name] = field.widget === 'number' ? Number(value) : value;
      }
    }
    return config;
  }

  private async _undo(): Promise<void> {
    this.report.visible = false;
    const running = this._stage === 'testing' && this._taskId !== '';
    await this.build.cancel();
    this.build.leave();
    try {
      if (running) {
        await this._service.cancel(this._taskId);
      }
    } catch (reason) {
      // A test that has just ended cannot be cancelled.
      if (ApiError.from(reason, this._trans).code !== 'conflict') {
        throw reason;
      }
    } finally {
      if (!this.existing && this._name) {
        await this._service.remove(this._name);
        this._name = '';
      }
    }
  }

  private _onReport(): void {
    const { value, error, state } = this.report.snapshot;
    if (this._stage !== 'testing') {
      return;
    }
    // The list may still have the report of an earlier test.
    if (value && (!value.task_id || value.task_id === this._taskId)) {
      this._current = value;
      if (value.state !== 'running' && value.state !== 'none') {
        this.report.visible = false;
        this._stage = 'tested';
      }
    }
    this._error = state === 'down' ? error : undefined;
    this._changed.emit();
  }

  private _put(stage: AddStage): void {
    this._stage = stage;
    this._changed.emit();
  }

  private _fail(reason: unknown): void {
    this._error = ApiError.from(reason, this._trans);
    this._changed.emit();
  }

  private _trans: TranslationBundle;
  private _fields: IAddFields;
  private _named = false;
  private _stage: AddStage = 'fields';
  private _error: ApiError | undefined;
  private _current: ITargetReport | undefined;
  private _name: string;
  private _taskId = '';
  private _isDisposed = false;
  private _changed = new Signal<this, void>(this);
}

/** The server takes these from `config`; the fields are for older clients. */
const NOT_BESIDE: Pick<
  INewTarget,
  'host' | 'user' | 'port' | 'identity_file' | 'python' | 'carrier'
> = {
  host: '',
  user: '',
  port: 0,
  identity_file: '',
  python: 'python3',
  carrier: 'auto'
};

/** The only field until the kinds of targets are read. */
function hostField(trans: TranslationBundle): IFormField {
  return {
    name: 'host',
    label: trans.__('Host'),
    help: '',
    widget: 'text',
    default: '',
    required: true,
    advanced: false,
    locked: false,
    administered: [],
    choices: [],
    choice_labels: {},
    pattern: '',
    minimum: null,
    maximum: null,
    noun: '',
    hint: ''
  };
}

/** Whether a pattern of the server matches the whole text; without a pattern each text does. */
function isWhole(pattern: string | undefined, text: string): boolean {
  return !pattern || new RegExp(`^(?:${pattern})$`).test(text);
}

/** The parts of `user@host:port`; an IPv6 address keeps its colons. */
export function address(text: string): {
  user: string;
  host: string;
  port: number;
} {
  const [, user = '', rest] = /^(?:([^@]*)@)?(.*)$/.exec(text.trim())!;
  const [, host = rest, port = '0'] = /^([^:]+):(\d{1,5})$/.exec(rest) ?? [];
  return { user, host, port: Number(port) };
}

/** A valid name made from a host's, by the server's rules. */
export function defaultName(host: string): string {
  const slug = address(host)
    .host.normalize('NFKD')
    .replace(/[^\0-\x7f]/g, '')
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/^[-._]+|[-._]+$/g, '')
    .slice(0, 57)
    .replace(/[-._]+$/, '');
  return slug;
}
