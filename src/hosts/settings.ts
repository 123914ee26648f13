import type { TranslationBundle } from '@jupyterlab/translation';

import { FormModel, wholeNumberProblem } from '../core';

import type { IFolderFields } from './folder-policy';
import { folderFields, folderProblems, withFolder } from './folder-policy';
import type { ITarget, TargetsService } from './service';

/** The idle times that the dialog offers, in minutes. */
export const IDLE_CHOICES = [15, 30, 60, 120, 480, 1440] as const;

export const MAX_WARM = 8;
/** Where each one needs a pod or a job of its own. */
export const MAX_WARM_HOSTS = 4;
const MAX_WARM_MINUTES = 1440;

export interface ISettingsFields extends IFolderFields {
  /** As typed; empty for none. */
  price: string;
  secrets: readonly string[];
  /** Another variable's name, as typed. */
  another: string;
  warm: number;
  warmMinutes: number;
  /** 0: never. */
  idleMinutes: number;
  gpuPercent: number;
  /** Names that can be ticked; undefined until they are read. */
  known: readonly string[] | undefined;
}

/**
 * The changeable fields of a target: its price, its secrets, and the policy for
 * its kernels.
 */
export class SettingsForm extends FormModel<ISettingsFields, ITarget> {
  constructor(
    private _service: TargetsService,
    readonly target: ITarget,
    trans: TranslationBundle
  ) {
    super(
      {
        price: target.price_per_hour === null ? '' : `${target.price_per_hour}`,
        secrets: target.secrets,
        another: '',
        warm: target.policy.warm_kernels,
        warmMinutes: target.policy.warm_minutes,
        ...folderFields(target.policy),
        idleMinutes: target.policy.idle_minutes ?? 0,
        gpuPercent: target.policy.idle_gpu_percent,
        known: undefined
      },
      trans
    );
  }

  /**
   * Read the names that can be ticked; until then the ticked ones are shown.
   */
  async load(): Promise<void> {
    let known: readonly string[] = [];
    try {
      known = await this._service.secretNames();
    } finally {
      this.put({ fields: { ...this.fields, known } });
    }
  }

  /** All shown names, each once. */
  get names(): readonly string[] {
    const { known, secrets } = this.fields;
    return [...new Set([...secrets, ...(known ?? [])])].sort();
  }

  /** Tick or untick a name. */
  tick(name: string, ticked: boolean): void {
    const others = this.fields.secrets.filter(each => each !== name);
    this.set({ secrets: ticked ? [...others, name] : others });
  }

  get priceProblem(): string {
    const { price } = this.fields;
    const value = Number(price);
    return price.trim() === '' || (Number.isFinite(value) && value >= 0)
      ? ''
      : this.trans.__('Enter USD an hour, such as 2.49.');
  }

  get anotherProblem(): string {
    const name = this.fields.another.trim();
    return name === '' || /^[A-Za-z_][A-Za-z0-9_]*$/.test(name)
      ? ''
      : this.trans.__(
          'Enter only the name of a variable, such as HF_TOKEN. GenOps Lab reads its value when a kernel starts.'
        );
  }

  get warmProblem(): string {
    return wholeNumberProblem(this.fields.warm, this.trans, this.mostWarm);
  }

  /** How many kernels can be kept ready. */
  get mostWarm(): number {
    return this.target.allocates ? MAX_WARM_HOSTS : MAX_WARM;
  }

  get warmMinutesProblem(): string {
    const { warmMinutes } = this.fields;
    return warmMinutes >= 1 && warmMinutes <= MAX_WARM_MINUTES
      ? ''
      : this.trans.__('Enter a number from 1 to %1.', MAX_WARM_MINUTES);
  }

  get gpuProblem(): string {
    const { gpuPercent } = this.fields;
    return gpuPercent >= 0 && gpuPercent <= 100
      ? ''
      : this.trans.__('Enter a number from 0 to %1.', 100);
  }

  get valid(): boolean {
    const { idleMinutes } = this.fields;
    const folder = folderProblems(this.fields, this.trans);
    return ![
      this.priceProblem,
      this.anotherProblem,
      this.warmProblem,
      this.target.allocates && this.warmMinutesProblem,
      idleMinutes > 0 && this.gpuProblem,
      folder.size,
      folder.files
    ].some(Boolean);
  }

  protected send(fields: Readonly<ISettingsFields>): Promise<ITarget> {
    const another = fields.another.trim();
    const { policy } = this.target;
    // An invalid value in a hidden field leaves the policy's value.
    return this._service.change(this.target.name, {
      price_per_hour: fields.price.trim() === '' ? null : Number(fields.price),
      secrets: [
        ...new Set([...fields.secrets, ...(another ? [another] : [])])
      ].sort(),
      policy: {
        ...withFolder(policy, fields, this.trans),
        warm_kernels: fields.warm,
        warm_minutes: this.warmMinutesProblem
          ? policy.warm_minutes
          : fields.warmMinutes,
        idle_minutes: fields.idleMinutes || null,
        idle_gpu_percent: this.gpuProblem
          ? policy.idle_gpu_percent
          : fields.gpuPercent
      }
    });
  }
}
