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
  reason: string;
}

/** Points an alias at one version. */
export class AliasForm extends FormModel<IAliasFields, IRegisteredModel> {
  constructor(
    private _service: ModelsService,
    readonly version: Pick<IModelVersion, 'name' | 'version'>,
    /** The model as the page shows it; undefined if the page does not show it. */
    private _shown: IRegisteredModel | undefined,
    trans: TranslationBundle
  ) {
    super({ alias: '', reason: '' }, trans);
  }

  /** The aliases that the page shows. */
  get known(): string[] {
    const versions = this._shown?.versions ?? [];
    return versions.flatMap(({ aliases }) => aliases).sort();
  }

  /** The version that the page shows for the alias; empty: none, undefined: unknown. */
  get from(): string | undefined {
    const { alias } = this.fields;
    const found = this._shown?.versions.find(({ aliases }) =>
      aliases.includes(alias)
    );
    // An older version that did not come with the model may have the alias.
    return found?.version ?? (this._shown?.older === '' ? '' : undefined);
  }

  get problem(): string {
    const { alias } = this.fields;
    return alias !== '' && this.from === this.version.version
      ? this.trans.__('This version has the alias “%1” already.', alias)
      : aliasProblem(alias, this.trans);
  }

  get valid(): boolean {
    return this.fields.alias !== '' && this.problem === '';
  }

  protected send({ alias, reason }: IAliasFields): Promise<IRegisteredModel> {
    const { name, version } = this.version;
    return this._service.setAlias(name, alias, {
      version,
      reason: reason.trim(),
      expected: this.from ?? null
    });
  }
}
