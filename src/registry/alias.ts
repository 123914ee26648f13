import type { TranslationBundle } from '@jupyterlab/translation';

import { FormModel } from '../core';

import type { IModelVersion, IRegisteredModel, ModelsService } from './service';

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
