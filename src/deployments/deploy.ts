import type { TranslationBundle } from '@jupyterlab/translation';

import { ApiError, FormModel } from '../core';

import type {
  DeploymentsService,
  IDeployCheck,
  IDeployment,
  IRegisteredModel
} from './service';

export interface IDeployFields {
  model: string;
  version: string;
  name: string;
  /** The person's own word that the model may run code. */
  trust: boolean;
  /** What can be chosen; undefined while it is being read. */
  models: readonly IRegisteredModel[] | undefined;
  /** What to know about the version; undefined while it is being examined. */
  check: IDeployCheck | undefined;
}

/** Deploys a version, after showing what loading it means. */
export class DeployForm extends FormModel<IDeployFields, IDeployment> {
  constructor(
    private _service: DeploymentsService,
    start: { model?: string; version?: string; name?: string },
    trans: TranslationBundle
  ) {
    super(
      {
        model: start.model ?? '',
        version: start.version ?? '',
        name: start.name ?? '',
        trust: false,
        models: undefined,
        check: undefined
      },
      trans
    );
    this._named = Boolean(start.name);
  }

  get nameProblem(): string {
    const { name } = this.fields;
    return name === '' || isName(name)
      ? ''
      : this.trans.__(
          'Use up to 63 letters, digits, “.”, “_” and “-”, beginning with a letter or a digit.'
        );
  }

  get valid(): boolean {
    const { check, name, trust } = this.fields;
    return check !== undefined && isName(name) && (check.trusted || trust);
  }

  /** Read what can be deployed, then examine what is chosen. */
  async load(): Promise<void> {
    try {
      const models = await this._service.models();
      this.set({ models });
      const model = this.fields.model || models[0]?.name;
      if (model) {
        await this.choose(model, this.fields.version);
      }
    } catch (reason) {
      this.put({ error: ApiError.from(reason, this.trans) });
    }
  }

  /** Give the deployment a name of its own. */
  rename(name: string): void {
    this._named = true;
    this.set({ name });
  }

  /** Choose a version (the newest for an empty one) and examine it. */
  async choose(model: string, version: string): Promise<void> {
    const known = this.fields.models?.find(each => each.name === model);
    const chosen = version || known?.versions[0]?.version || '';
    this.set({
      model,
      version: chosen,
      name: this._named ? this.fields.name : defaultName(model),
      // What was said of one version does not hold for another.
      trust: false,
      check: undefined
    });
    const current = () =>
      this.fields.model === model && this.fields.version === chosen;
    try {
      const check = await this._service.check(model, chosen);
      if (current()) {
        this.set({ check });
      }
    } catch (reason) {
      if (current()) {
        this.put({ error: ApiError.from(reason, this.trans) });
      }
    }
  }

  protected async send(fields: Readonly<IDeployFields>): Promise<IDeployment> {
    try {
      return await this._service.deploy({
        model: fields.model,
        // An alias may move between the examination and now.
        version: fields.check?.version ?? fields.version,
        name: fields.name,
        // The word is for the files that were shown, and for no others.
        trust: fields.trust && fields.check ? fields.check.digest : '',
        idempotency_key: this.key
      });
    } catch (reason) {
      const error = ApiError.from(reason, this.trans);
      if (error.code === 'confirmation_needed' && error.details.check) {
        const check = error.details.check as IDeployCheck;
        this.set({ trust: false, check });
      }
      throw error;
    }
  }

  private _named: boolean;
}

function isName(name: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(name);
}

/** A name that the server takes, made from the model's as the server does it. */
export function defaultName(model: string): string {
  const slug = model
    .normalize('NFKD')
    .replace(/[^\0-\x7f]/g, '')
    .replace(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^[-._]+|[-._]+$/g, '')
    .slice(0, 63)
    .replace(/[-._]+$/, '');
  return slug || 'model';
}
