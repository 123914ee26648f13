import type { TranslationBundle } from '@jupyterlab/translation';

import type { GenOpsEvents } from '../core';
import { ApiError, FormModel } from '../core';

import type { IScaleTexts } from './deploy-scale';
import {
  AS_BEFORE,
  scaleOf,
  scaleProblems,
  sleepMinutesOf
} from './deploy-scale';
import { Fetching } from './fetching';
import { HERE } from './model';
import type {
  DeploymentsService,
  IDeployCheck,
  IDeployable,
  IDeployment,
  IEngineSetting,
  IRegisteredModel,
  IRolloutPolicy,
  ITarget
} from './service';

/** Where the model comes from: the registry, the Hugging Face hub, or files of this machine. */
export type Source = 'registry' | 'hub' | 'path';

export interface IDeployFields {
  source: Source;
  /** The repository (`ORG/NAME@REVISION`) or path, where the model is not from the registry. */
  place: string;
  /** Name of the variable with the token of a gated repository. */
  secret: string;
  /** The texts of settings of a language model or of MLflow's scorer, by name. */
  settings: Readonly<Record<string, string>>;
  /** How many replicas, and when the model is unloaded. */
  scale: IScaleTexts;
  /** All settings; empty until they are loaded. */
  known: readonly IEngineSetting[];
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
  /** The percentages of the steps of a canary. */
  steps: string;
  /** What the recent traffic can show by this rollout. */
  outlook: readonly string[];
  /** The choices; undefined until they are loaded. */
  models: readonly IRegisteredModel[] | undefined;
  /** The files of a repository that must be fetched before the check; null if none. */
  fetching: Fetching | null;
  /** The check of the selected version; undefined until it is done. */
  check: IDeployCheck | undefined;
}

/** Deploy a version after its check was shown. */
export class DeployForm extends FormModel<IDeployFields, IDeployment> {
  constructor(
    private _service: DeploymentsService,
    start: { model?: string; version?: string; name?: string },
    trans: TranslationBundle,
    private _events?: GenOpsEvents
  ) {
    super(
      {
        source: 'registry',
        place: '',
        secret: '',
        settings: {},
        known: [],
        scale: AS_BEFORE,
        on: HERE,
        targets: [],
        model: start.model ?? '',
        version: start.version ?? '',
        name: start.name ?? '',
        trust: false,
        replaceFirst: false,
        rollout: 'replace',
        steps: CANARY,
        outlook: [],
        models: undefined,
        fetching: null,
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

  /** What is wrong with the steps of a canary; empty if nothing is. */
  get stepsProblem(): string {
    const steps = stepsOf(this.fields.steps);
    const rise = steps.every(
      (each, at) => each > (steps[at - 1] ?? 0) && each <= 100
    );
    return this.fields.rollout !== 'canary' ||
      (steps.length > 0 && steps[0] < 100 && rise)
      ? ''
      : this.trans.__(
          'Write rising percentages, the first one below 100, such as 1, 10, 50.'
        );
  }

  /** What is wrong with the replicas and the sleep. */
  get scaleProblems(): ReturnType<typeof scaleProblems> {
    const { scale, settings } = this.fields;
    return scaleProblems(scale, settings, this.trans);
  }

  get valid(): boolean {
    const { check, name, trust, replaceFirst } = this.fields;
    return (
      Object.keys(this.scaleProblems).length === 0 &&
      this.stepsProblem === '' &&
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
    const { name } = this.fields;
    const { api } = this._service;
    const found = await api.data(
      api.http.POST('/deployment-file-drafts', {
        body: {
          ...checkedOf(this.fields),
          name,
          pinned: true,
          sleep_minutes: sleepMinutesOf(this.fields.scale),
          scale: scaleOf(this.fields.scale),
          rollout: this._rollout()
        }
      })
    );
    return found.text;
  }

  /** Set the deployment's name; later choices of a model keep it. */
  rename(name: string): void {
    this._named = true;
    this.set({ name });
  }

  /** Do again what an error ended: load the models, or check what is chosen. */
  async checkAgain(): Promise<void> {
    this.set({});
    await (this.fields.models ? this._check() : this.load());
  }

  /** Check again for the name that was set: it may be that of a running deployment. */
  async checkName(): Promise<void> {
    if (isName(this.fields.name)) {
      await this._check();
    }
  }

  /** Select where the version is deployed, and check it for there. */
  async move(on: string): Promise<void> {
    await this._begin({ on });
  }

  /** Select where the model comes from. */
  async from(source: Source): Promise<void> {
    if (source === 'registry') {
      this.set({ source });
      await this.choose(this.fields.model, this.fields.version);
    } else {
      await this._begin({ source, place: '', settings: {} });
    }
  }

  /** Take the model from a repository of the hub or a path, and check it. */
  async take(place: string): Promise<void> {
    const name = this._named
      ? this.fields.name
      : defaultName(lastPart(place, this.fields.source));
    await this._begin({ place, name, settings: {} });
  }

  /** Give settings (an empty text: none), and check the model with them. */
  async give(settings: Readonly<Record<string, string>>): Promise<void> {
    this.set({ settings });
    await this._check();
  }

  /** Select a version (empty: the newest) and check it. */
  async choose(model: string, version: string): Promise<void> {
    const known = this.fields.models?.find(each => each.name === model);
    const chosen = version || known?.versions[0]?.version || '';
    const name = this._named ? this.fields.name : defaultName(model);
    await this._begin({ model, version: chosen, name, settings: {} });
  }

  /** Choose a rollout and ask what the traffic can show by it. */
  async chooseRollout(rollout: IRolloutPolicy['kind']): Promise<void> {
    this.set({ rollout, outlook: [] });
    await this.look();
  }

  /** Ask what the traffic can show by the rollout. */
  async look(): Promise<void> {
    const { rollout, steps } = this.fields;
    const name = this.fields.check?.update?.name;
    if (rollout === 'replace' || !name || this.stepsProblem) {
      return;
    }
    try {
      const policy = policyOf(this.fields);
      const outlook = await this._service.outlook(name, policy);
      if (this.fields.rollout === rollout && this.fields.steps === steps) {
        this.set({ outlook });
      }
    } catch (reason) {
      this.put({ error: ApiError.from(reason, this.trans) });
    }
  }

  /** Check something else: trust in one thing is no trust in another. */
  private async _begin(change: Partial<IDeployFields>): Promise<void> {
    this.set({
      trust: false,
      replaceFirst: false,
      rollout: 'replace',
      outlook: [],
      fetching: null,
      check: undefined,
      ...change
    });
    await this._check();
  }

  private async _check(): Promise<void> {
    const number = ++this._checks;
    const { name } = this.fields;
    const asked = {
      ...askedOf(this.fields),
      name: isName(name) ? name : ''
    };
    if (!asked.model && !asked.path) {
      return;
    }
    try {
      const check = await this._service.check(asked);
      if (number === this._checks) {
        const { trust } = this.fields;
        const trusted = trust && check.digest === this._digest;
        this._digest = check.digest;
        this.set({ check, trust: trusted, fetching: null });
        if (this.fields.known.length === 0) {
          this.set({ known: await this._service.settings() });
        }
      }
    } catch (reason) {
      if (number === this._checks) {
        this._failed(ApiError.from(reason, this.trans));
      }
    }
  }

  private _failed(error: ApiError): void {
    if (error.code !== NOT_FETCHED) {
      this.set({ check: undefined, fetching: null });
      this.put({ error });
      return;
    }
    const done = () => void this._check();
    const fetching = new Fetching(
      this._service,
      error,
      done,
      this.trans,
      this._events
    );
    this.set({ check: undefined, fetching });
  }

  protected async send(fields: Readonly<IDeployFields>): Promise<IDeployment> {
    try {
      return await this._service.deploy({
        ...checkedOf(fields),
        name: fields.name,
        // The user trusts only the files that the form showed.
        trust: fields.trust && fields.check ? fields.check.digest : '',
        replace_first: fields.replaceFirst,
        rollout: this._rollout(),
        sleep_minutes: sleepMinutesOf(this.fields.scale),
        scale: scaleOf(this.fields.scale),
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

  /** The policy of an update; null where all requests go over at once. */
  private _rollout(): IRolloutPolicy | null {
    const { check, rollout } = this.fields;
    return check?.update?.fits && rollout !== 'replace'
      ? policyOf(this.fields)
      : null;
  }

  private _named: boolean;
  /** Of the files that were checked last, also where a wrong setting has ended a check since. */
  private _digest = '';
  private _checks = 0;
}

/** The code of the error that the files of a repository must be fetched first. */
const NOT_FETCHED = 'not_fetched';
/** The steps of a canary that nobody changed. */
const CANARY = '1, 10, 50';

function stepsOf(text: string): number[] {
  return text
    .split(/[\s,;%]+/)
    .filter(each => each)
    .map(Number);
}

/** The policy of a rollout; the server knows the rest. */
function policyOf({
  rollout: kind,
  steps
}: Pick<IDeployFields, 'rollout' | 'steps'>): IRolloutPolicy {
  const own = kind === 'canary' && steps !== CANARY;
  return {
    kind,
    ...(own
      ? { steps: stepsOf(steps).map(traffic => ({ traffic })) }
      : undefined)
  } as IRolloutPolicy;
}

/** What is to be deployed, without its name. */
function askedOf(fields: Readonly<IDeployFields>): Omit<IDeployable, 'name'> {
  const { source, place, secret, on } = fields;
  const isVersion = source === 'registry';
  const models = {
    registry: fields.model,
    hub: place && `hf:${place.replace(/^hf:/, '')}`,
    path: ''
  };
  const given = Object.entries(fields.settings).filter(([, text]) => text);
  return {
    model: models[source],
    version: isVersion ? fields.version : '',
    path: source === 'path' ? place : '',
    adapter: '',
    command: '',
    port: 0,
    health: '',
    secret: source === 'hub' ? secret : '',
    settings: Object.fromEntries(given),
    on
  };
}

/** What was checked: an alias may have moved since. */
function checkedOf(fields: Readonly<IDeployFields>): Omit<IDeployable, 'name'> {
  const { source, check } = fields;
  return {
    ...askedOf(fields),
    ...(source === 'registry' && check ? { version: check.version } : {})
  };
}

/** The part of a repository or path that names the model. */
function lastPart(place: string, source: Source): string {
  const name = place.replace(/@[^@]*$/, '').replace(/^.*[/\\]/, '');
  return source === 'path' ? name.replace(/\.[^.]+$/, '') : name;
}

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
