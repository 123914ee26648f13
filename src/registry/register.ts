import type { TranslationBundle } from '@jupyterlab/translation';

import { ApiError, FormModel } from '../core';

import { aliasProblem } from './alias';
import { nameProblem } from './model';
import type { ITask } from './importing';
import { importModel, sourceProblem } from './importing';
import type {
  ILoggedModel,
  IModelVersion,
  IRun,
  ModelsService
} from './service';

/** What a version is made from. */
export type SourceKind = 'run' | 'files' | 'hub';

export interface IRegisterFields {
  kind: SourceKind;
  /** Path of a folder or file, or a repository of the hub. */
  source: string;
  /** The base model of an adapter; empty if the files name it, or for another model. */
  base: string;
  /** Whether files that run code when loaded are accepted. */
  allowCode: boolean;
  runId: string;
  /** Name of the selected model among those that the run logged. */
  logged: string;
  name: string;
  alias: string;
  /** Names of the registered models. */
  known: readonly string[];
  /** The choices; undefined until they are loaded. */
  runs: readonly IRun[] | undefined;
  models: readonly ILoggedModel[] | undefined;
}

/** Register a model of a run, or files, under a name, with an optional alias. Files are copied by a task. */
export class RegisterForm extends FormModel<
  IRegisterFields,
  IModelVersion | ITask
> {
  constructor(
    private _service: ModelsService,
    private _start: {
      runId?: string;
      name?: string;
      known?: readonly string[];
      /** Whether the registry has more models than `known`. */
      hasMore?: boolean;
    },
    trans: TranslationBundle
  ) {
    super(
      {
        kind: 'run',
        source: '',
        base: '',
        allowCode: false,
        runId: _start.runId ?? '',
        logged: '',
        name: _start.name ?? '',
        alias: '',
        known: _start.known ?? [],
        runs: undefined,
        models: undefined
      },
      trans
    );
  }

  get nameProblem(): string {
    return nameProblem(this.fields.name, this.trans);
  }

  get aliasProblem(): string {
    return aliasProblem(this.fields.alias, this.trans);
  }

  get sourceProblem(): string {
    const { kind, source } = this.fields;
    return kind === 'run' ? '' : sourceProblem(kind, source, this.trans);
  }

  get valid(): boolean {
    const { kind, models, name, source } = this.fields;
    return (
      (kind === 'run' ? (models?.length ?? 0) > 0 : source.trim() !== '') &&
      this.sourceProblem === '' &&
      name.trim() !== '' &&
      this.nameProblem === '' &&
      this.aliasProblem === ''
    );
  }

  /** Load the runs, and the models of the selected run. */
  async load(): Promise<void> {
    try {
      const runs = await this._service.runs();
      this.set({ runs });
      const first = runs.find(run => run.status === 'FINISHED') ?? runs[0];
      const chosen = this.fields.runId || first?.run_id;
      if (chosen) {
        await this.chooseRun(chosen);
      }
      if (this._start.hasMore) {
        const all = await this._service.list();
        this.set({ known: all.map(({ name }) => name) });
      }
    } catch (reason) {
      this.put({ error: ApiError.from(reason, this.trans) });
    }
  }

  /** Select a run and load the models that it logged. */
  async chooseRun(runId: string): Promise<void> {
    this.set({ runId, models: undefined, logged: '' });
    try {
      const models = await this._service.loggedModels(runId);
      if (this.fields.runId === runId) {
        this.set({ models, logged: models[0]?.name ?? '' });
      }
    } catch (reason) {
      if (this.fields.runId === runId) {
        this.put({ error: ApiError.from(reason, this.trans) });
      }
    }
  }

  protected send(
    fields: Readonly<IRegisterFields>
  ): Promise<IModelVersion | ITask> {
    if (fields.kind !== 'run') {
      return importModel(this._service.api, fields.kind, fields);
    }
    return this._service.register({
      name: fields.name.trim(),
      run: fields.runId,
      model: fields.logged,
      alias: fields.alias,
      idempotency_key: this.key
    });
  }
}
