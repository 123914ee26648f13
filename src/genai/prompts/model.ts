import type { IStateDB } from '@jupyterlab/statedb';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { components } from '../../api/generated';
import { ApiError } from '../../core/errors';
import { PagedResource } from '../../core/paging';
import type { IGenOpsCore } from '../../core/tokens';
import type { ITaskNotifier } from '../../tasks/tokens';

import type { IDraft } from './draft';
import { draftOf, newVersion } from './draft';
import { KeptDrafts } from './kept-drafts';
import { OptimizationsModel } from './optimizations-model';
import { PromptSources } from './sources';
import { TrialsModel } from './trials-model';

type Schemas = components['schemas'];
export type IPrompt = Schemas['Prompt'];
export type IPromptVersion = Schemas['PromptVersion'];
export type IPromptDifference = Schemas['PromptDifference'];

/** What became of the last save: who reads it aloud, and what the person can do. */
export interface ISaveState {
  busy: boolean;
  said: string;
  error?: ApiError;
}

/** The prompts of MLflow, the versions of the chosen one, and unsaved texts of each. */
export class PromptsModel implements IDisposable {
  constructor(
    core: Pick<IGenOpsCore, 'api' | 'events' | 'trans'>,
    state: IStateDB | null,
    notifier: ITaskNotifier | null = null
  ) {
    this._api = core.api;
    this.trans = core.trans;
    this._drafts = KeptDrafts.of(core.api, state);
    this._drafts.changed.connect(this._emit, this);
    const { api, events, trans } = core;
    this.prompts = new PagedResource<IPrompt>({
      fetch: (query, signal) =>
        api.data(api.http.GET('/prompts', { params: { query }, signal })),
      key: ({ name }) => name,
      events,
      kinds: ['prompt'],
      trans
    });
    this.versions = new PagedResource<IPromptVersion>({
      fetch: async (query, signal) => {
        const name = this._name;
        return name
          ? api.data(
              api.http.GET('/prompts/{name}/versions', {
                params: { path: { name }, query },
                signal
              })
            )
          : { items: [], next: '' };
      },
      key: ({ name, version }) => `${name}/${version}`,
      events,
      kinds: ['prompt'],
      accepts: ({ id }) => !id || id === this._name,
      trans
    });
    this.sources = new PromptSources(core);
    this.trials = new TrialsModel(core, notifier);
    this.optimizations = new OptimizationsModel(core, notifier);
    this.prompts.changed.connect(this._onList, this);
    this.versions.changed.connect(this._emit, this);
  }

  readonly prompts: PagedResource<IPrompt>;
  readonly versions: PagedResource<IPromptVersion>;
  /** Models and data sets for runs on rows and for optimizations. */
  readonly sources: PromptSources;
  readonly trials: TrialsModel;
  readonly optimizations: OptimizationsModel;
  readonly trans: TranslationBundle;

  /** Emitted when anything that the page shows changes. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** The name of the chosen prompt; empty: a new one. */
  get name(): string {
    return this._name;
  }

  /** Changes when another prompt is chosen, and not when a new one gets its name. */
  get chosen(): number {
    return this._choices;
  }

  /** The chosen prompt; undefined for a new one. */
  get prompt(): IPrompt | undefined {
    return this.prompts.value?.find(({ name }) => name === this._name);
  }

  /** The version that is shown; the newest unless another was chosen. Undefined while it loads. */
  get version(): IPromptVersion | undefined {
    const own = (this.versions.value ?? []).filter(
      ({ name }) => name === this._name
    );
    return own.find(({ version }) => version === this._version) ?? own[0];
  }

  get draft(): IDraft | undefined {
    return this._drafts.get(this._name) ?? this._shown();
  }

  /** Whether a prompt has a text that was not saved. */
  isEdited(name: string): boolean {
    return this._drafts.has(name);
  }

  get saving(): ISaveState {
    return this._saving;
  }

  get visible(): boolean {
    return this.prompts.visible;
  }
  set visible(value: boolean) {
    this.prompts.visible = value;
    this.versions.visible = value;
    this._showWork();
  }

  /** Show the durable work of the tab that is open. */
  openWork(work: 'trials' | 'optimizations'): void {
    this._work = work;
    this[work].show(this._name);
    this._showWork();
  }

  /** Its tab is not open any more. */
  closeWork(work: 'trials' | 'optimizations'): void {
    if (this._work === work) {
      this._work = '';
      this._showWork();
    }
  }

  get isDisposed(): boolean {
    return this.prompts.isDisposed;
  }

  dispose(): void {
    if (this.isDisposed) {
      return;
    }
    this.prompts.dispose();
    this.versions.dispose();
    this.sources.dispose();
    this.trials.dispose();
    this.optimizations.dispose();
    this._drafts.changed.disconnect(this._emit, this);
    Signal.clearData(this);
  }

  /** Show a prompt; an empty name begins a new one. */
  choose(name: string): void {
    this._name = name;
    this._chosen = true;
    this._choices += 1;
    this._version = '';
    this._saving = { busy: false, said: '' };
    this._emit();
    void this.versions.refresh();
  }

  /** Show a version in place of the text that was not saved. */
  chooseVersion(version: string): void {
    this._version = version;
    this._drafts.delete(this._name);
    this._emit();
  }

  edit(part: Partial<IDraft>): void {
    const now = this.draft;
    if (now) {
      this._drafts.set(this._name, { ...now, ...part });
      this._saving = { busy: this._saving.busy, said: '' };
      this._emit();
    }
  }

  /** Forget what was not saved. */
  discard(): void {
    this._drafts.delete(this._name);
    this._saving = { busy: false, said: '' };
    this._emit();
  }

  /**
   * Save the draft as the next version. What is written meanwhile stays a draft, and a prompt that is chosen
   * meanwhile stays chosen.
   *
   * @param anyway whether to save although another version was saved meanwhile.
   */
  async save(anyway = false): Promise<void> {
    const { trans } = this;
    const draft = this.draft;
    if (!draft || this._saving.busy) {
      return;
    }
    const from = this._name;
    const name = from || draft.name.trim();
    const chosen = this._choices;
    this._set({ busy: true, said: '' });
    try {
      const { version, made, between } = await this._api.data(
        this._api.http.POST('/prompts/{name}/versions', {
          params: { path: { name } },
          body: newVersion(draft, anyway ? null : draft.newest)
        })
      );
      const later = this._drafts.get(from);
      this._drafts.delete(from);
      if (later && later !== draft) {
        const newest = version.version;
        this._drafts.set(name, { ...later, name: '', newest });
      }
      if (this._choices !== chosen) {
        await this.prompts.refresh();
        return;
      }
      this._name = name;
      this._version = '';
      await Promise.all([this.prompts.refresh(), this.versions.refresh()]);
      this._end(chosen, {
        busy: false,
        said: !made
          ? trans.__('Version %1 has this content already.', version.version)
          : between.length > 0
            ? trans.__(
                'Saved as version %1. Others saved at the same moment: version %2.',
                version.version,
                between.join(', ')
              )
            : trans.__('Saved as version %1.', version.version)
      });
    } catch (reason) {
      const error = ApiError.from(reason, trans);
      if (error.code === 'prompt_changed') {
        await this.versions.refresh();
      }
      this._end(chosen, { busy: false, said: '', error });
    }
  }

  /** Point an alias of the chosen prompt at a version. `expected`: where the page showed it. */
  async setAlias(
    alias: string,
    version: string,
    expected: string
  ): Promise<IPrompt> {
    const found = await this._api.data(
      this._api.http.PUT('/prompts/{name}/aliases/{alias}', {
        params: { path: { name: this._name, alias } },
        body: { version, expected }
      })
    );
    await this._again();
    return found;
  }

  async removeAlias(alias: string, expected: string): Promise<void> {
    await this._api.data(
      this._api.http.DELETE('/prompts/{name}/aliases/{alias}', {
        params: { path: { name: this._name, alias }, query: { expected } }
      })
    );
    await this._again();
  }

  async removeVersion(version: string): Promise<void> {
    await this._api.data(
      this._api.http.DELETE('/prompts/{name}/versions/{version}', {
        params: { path: { name: this._name, version } }
      })
    );
    this._version = '';
    await this._again();
  }

  async removePrompt(): Promise<void> {
    await this._api.data(
      this._api.http.DELETE('/prompts/{name}', {
        params: { path: { name: this._name } }
      })
    );
    this._drafts.delete(this._name);
    this._chosen = false;
    this._name = '';
    await this.prompts.refresh();
  }

  compare(
    before: string,
    after: string,
    signal?: AbortSignal
  ): Promise<IPromptDifference> {
    return this._api.data(
      this._api.http.GET('/prompts/{name}/difference', {
        params: { path: { name: this._name }, query: { before, after } },
        signal
      })
    );
  }

  private _shown(): IDraft | undefined {
    if (!this._name) {
      return draftOf(undefined, '');
    }
    const { version } = this;
    const newest = this.versions.value?.[0]?.version ?? '';
    return version && draftOf(version, newest);
  }

  private _showWork(): void {
    const { visible } = this;
    this.sources.visible = visible && this._work !== '';
    this.trials.visible = visible && this._work === 'trials';
    this.optimizations.visible = visible && this._work === 'optimizations';
  }

  private async _again(): Promise<void> {
    await Promise.all([this.prompts.refresh(), this.versions.refresh()]);
  }

  private _onList(): void {
    const first = this.prompts.value?.[0];
    if (!this._chosen && first) {
      this.choose(first.name);
    } else {
      this._emit();
    }
  }

  /** Tell how a save ended, unless another prompt is shown. */
  private _end(chosen: number, state: ISaveState): void {
    if (this._choices === chosen) {
      this._set(state);
    }
  }

  private _set(state: ISaveState): void {
    this._saving = state;
    this._emit();
  }

  private _emit(): void {
    this._changed.emit();
  }

  private _api: IGenOpsCore['api'];
  private _name = '';
  private _version = '';
  private _chosen = false;
  private _work: 'trials' | 'optimizations' | '' = '';
  private _choices = 0;
  private _drafts: KeptDrafts;
  private _saving: ISaveState = { busy: false, said: '' };
  private _changed = new Signal<this, void>(this);
}
