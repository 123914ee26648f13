import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';

import type { IGenOpsCore } from '../core';
import { FormModel, PagedResource } from '../core';

import type { IModelVersion, IRegisteredModel } from './service';
import { ModelsService } from './service';

/** The registered models. */
export class ModelsModel implements IDisposable {
  constructor(core: Pick<IGenOpsCore, 'api' | 'events' | 'trans'>) {
    this.service = new ModelsService(core.api);
    this.list = new PagedResource({
      fetch: (query, signal) => this.service.page(query, signal),
      key: ({ name }) => name,
      events: core.events,
      kinds: ['model'],
      trans: core.trans
    });
  }

  readonly service: ModelsService;
  readonly list: PagedResource<IRegisteredModel>;

  get isDisposed(): boolean {
    return this.list.isDisposed;
  }

  dispose(): void {
    this.list.dispose();
  }
}

/** Why MLflow refuses an alias; empty for letters, digits, `_` and `-`, except `latest` and names such as `v3`. */
export function aliasProblem(alias: string, trans: TranslationBundle): string {
  if (!/^[\p{L}\p{N}_-]*$/u.test(alias)) {
    return trans.__('Use letters, digits, underscores and hyphens.');
  }
  if (/^(latest|v\d+)$/i.test(alias)) {
    return trans.__('MLflow reserves the alias “%1”.', alias);
  }
  return '';
}

/** Why MLflow refuses a model's name; empty for a valid name. */
export function nameProblem(name: string, trans: TranslationBundle): string {
  return /[/:]/.test(name)
    ? trans.__('MLflow does not allow “/” or “:” in a model name.')
    : '';
}

export interface IAliasFields {
  alias: string;
}

/** Points an alias at one version. */
export class AliasForm extends FormModel<IAliasFields, IRegisteredModel> {
  constructor(
    private _service: ModelsService,
    readonly version: Pick<IModelVersion, 'name' | 'version'>,
    trans: TranslationBundle
  ) {
    super({ alias: '' }, trans);
  }

  get problem(): string {
    return aliasProblem(this.fields.alias, this.trans);
  }

  get valid(): boolean {
    return this.fields.alias !== '' && this.problem === '';
  }

  protected send({ alias }: IAliasFields): Promise<IRegisteredModel> {
    const { name, version } = this.version;
    return this._service.setAlias(name, alias, version);
  }
}
