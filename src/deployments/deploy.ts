import type { TranslationBundle } from '@jupyterlab/translation';

import { ApiError, FormModel } from '../core';

import { HERE } from './model';
import type {
  DeploymentsService,
  IDeployCheck,
  IDeployment,
  IRegisteredModel,
  IRolloutPolicy,
  ITarget
} from './service';

export interface IDeployFields {
  /** The target; {@link HERE} for none. */
  on: string;
  /** All targets; models are deployed on connected ones. */
  targets: readonly ITarget[];
  model: string;
  version: string;
  name: string;
  /** Whether the user trusts the model to run code. */
  trust: boolean;
  /** Whether the earlier revision is stopped first, where memory is too small for both. */
  replaceFirst: boolean;
  /** How the version gets the requests of the revision that runs under this name. */
  rollout: IRolloutPolicy['kind'];
  /** What the recent traffic can show by this rollout. */
  outlook: readonly string[];
  /** The choices; undefined until they are loaded. */
  models: readonly IRegisteredModel[] | undefined;
  /** The check of the selected version; undefined until it is done. */
  check: IDeployCheck | undefined;
}

/** Deploy a version after its check was shown. */
export class DeployForm extends FormModel<IDeployFields, IDeployment> {
  constructor(
    private _service: DeploymentsService,
    start: { model?: string; version?: string; name?: string },
    trans: TranslationBundle
  ) {
    super(
      {
        on: HERE,
        targets: [],
        model: start.model ?? '',
        version: start.version ?? '',
        name: start.name ?? '',
        trust: false,
        replaceFirst: false,
        rollout: 'replace',
        outlook: [],
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
    const { check, name, trust, replaceFirst } = this.fields;
    return (
      check !== undefined &&
      isName(name) &&
      (!check.update || check.update.fits || replaceFirst) &&
      (check.trusted || (trust && check.verdict !== 'refused'))
    );
  }

  /** Load the models, then check the selected version. */
  async load(): Promise<void> {
    try {
      const [models, targets, deployments] = await Promise.all([
        this._service.models(),
        // An administrator may have switched targets off.
        this._service.targets().catch(() => []),
        this._named ? this._service.list() : []
      ]);
      const { name } = this.fields;
      const on = deployments.find(each => each.name === name)?.target ?? HERE;
      this.set({ models, targets, on });
      const model = this.fields.model || models[0]?.name;
      if (model) {
        await this.choose(model, this.fields.version);
      }
    } catch (reason) {
      this.put({ error: ApiError.from(reason, this.trans) });
    }
  }

  /** The text of the file that deploys the checked version, with the digest of its files. */
  async asFile(): Promise<string> {
    const { model, name, check } = this.fields;
    const version = check?.version ?? this.fields.version;
    const { api } = this._service;
    const found = await api.data(
      api.http.POST('/deployment-file-drafts', {
        body: { model, version, name, pinned: true }
      })
    );
    return found.text;
  }

  /** Set the deployment's name; later choices of a model keep it. */
  rename(name: string): void {
    this._named = true;
    this.set({ name });
  }

  /** Check again for the name that was set: it may be that of a running deployment. */
  async checkName(): Promise<void> {
    const { model, version, name } = this.fields;
    if (model && isName(name)) {
      await this._check(model, version, name);
    }
  }

  /** Select where the version is deployed, and check it for there. */
  async move(on: string): Promise<void> {
    this.set({ on });
    await this.choose(this.fields.model, this.fields.version);
  }

  /** Select a version (empty: the newest) and check it. */
  async choose(model: string, version: string): Promise<void> {
    const known = this.fields.models?.find(each => each.name === model);
    const chosen = version || known?.versions[0]?.version || '';
    const name = this._named ? this.fields.name : defaultName(model);
    this.set({
      model,
      version: chosen,
      name,
      // Trust in one version is no trust in another.
      trust: false,
      replaceFirst: false,
      rollout: 'replace',
      outlook: [],
      check: undefined
    });
    await this._check(model, chosen, isName(name) ? name : '');
  }

  /** Choose a rollout and ask what the traffic can show by it. */
  async chooseRollout(rollout: IRolloutPolicy['kind']): Promise<void> {
    this.set({ rollout, outlook: [] });
    const name = this.fields.check?.update?.name;
    if (rollout === 'replace' || !name) {
      return;
    }
    try {
      const outlook = await this._service.outlook(name, policyOf(rollout));
      if (this.fields.rollout === rollout) {
        this.set({ outlook });
      }
    } catch (reason) {
      this.put({ error: ApiError.from(reason, this.trans) });
    }
  }

  private async _check(
    model: string,
    version: string,
    name: string
  ): Promise<void> {
    const { on } = this.fields;
    const current = () =>
      this.fields.on === on &&
      this.fields.model === model &&
      this.fields.version === version &&
      (!name || this.fields.name === name);
    try {
      const check = await this._service.check({
        ...NOTHING_ELSE,
        model,
        version,
        name,
        on
      });
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
        ...NOTHING_ELSE,
        model: fields.model,
        // An alias may have moved since the check.
        version: fields.check?.version ?? fields.version,
        name: fields.name,
        // The user trusts only the files that the form showed.
        trust: fields.trust && fields.check ? fields.check.digest : '',
        replace_first: fields.replaceFirst,
        rollout:
          fields.check?.update?.fits && fields.rollout !== 'replace'
            ? policyOf(fields.rollout)
            : null,
        on: fields.on,
        sleep_minutes: 0,
        idempotency_key: this.key
      });
    } catch (reason) {
      const error = ApiError.from(reason, this.trans);
      if (error.code === 'confirmation_needed' && error.details.check) {
        const check = error.details.check as IDeployCheck;
        this.set({ trust: false, check });
      }
      if (error.code === 'memory' && error.details.update && fields.check) {
        const update = error.details.update as IDeployCheck['update'];
        this.set({ replaceFirst: false, check: { ...fields.check, update } });
      }
      throw error;
    }
  }

  private _named: boolean;
}

/** The policy of a kind; the server knows the rest. */
function policyOf(kind: IRolloutPolicy['kind']): IRolloutPolicy {
  return { kind } as IRolloutPolicy;
}

/** The fields of a deployment that a registered version leaves empty. */
const NOTHING_ELSE = {
  path: '',
  adapter: '',
  command: '',
  port: 0,
  health: '',
  secret: '',
  settings: {}
};

function isName(name: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(name);
}

/** Default name of a deployment: the model's name as a slug. The server makes the same one. */
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
