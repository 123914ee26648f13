import type { TranslationBundle } from '@jupyterlab/translation';

import type { components } from '../api/generated';
import type { GenOpsEvents } from '../core';
import { ApiError, FormModel } from '../core';
import type { IYamlFile } from '../core/yaml-file';
import { unreadable } from '../core/yaml-file';

import { Fetching } from './fetching';
import type { DeploymentsService } from './service';

export type IPlan = components['schemas']['DescriptionPlan'];
export type IApplied = components['schemas']['AppliedDescription'];

export interface IApplyFields {
  text: string;
  /** What the file would change; undefined until the server said so. */
  plan: IPlan | undefined;
  /** The digest of the files that the user trusts; empty for none. */
  trust: string;
  /** Whether the earlier revision is stopped first, where memory is too small for both. */
  replaceFirst: boolean;
  /** Whether the file takes the place of the one that was applied last. */
  takeOver: boolean;
  /** The files of a repository that must be fetched before the plan; null if none. */
  fetching: Fetching | null;
}

/** Shows what a deployment file would change, then applies what was shown. */
export class ApplyForm extends FormModel<IApplyFields, IApplied> {
  constructor(
    private _service: DeploymentsService,
    readonly file: IYamlFile,
    trans: TranslationBundle,
    private _events?: GenOpsEvents
  ) {
    super({ text: '', ...NOTHING }, trans);
  }

  get valid(): boolean {
    const { plan, replaceFirst, takeOver } = this.fields;
    return (
      plan !== undefined &&
      (plan.problem === '' || (canReplaceFirst(plan) && replaceFirst)) &&
      (plan.other_file === '' || takeOver)
    );
  }

  /** Read the file, and ask what it would change. */
  async load(): Promise<void> {
    this.set(NOTHING);
    try {
      this.set({ text: await this.file.read() });
    } catch (reason) {
      this.put({ error: unreadable(this.file.path, reason, this.trans) });
      return;
    }
    await this._plan();
  }

  /** Trust the files that the plan showed, or trust none. */
  async trust(trusted: boolean): Promise<void> {
    this.set({ trust: trusted ? (this.fields.plan?.digest ?? '') : '' });
    await this._plan();
  }

  protected async send(fields: Readonly<IApplyFields>): Promise<IApplied> {
    const { api } = this._service;
    const { plan, replaceFirst, takeOver } = fields;
    try {
      return await api.data(
        api.http.POST('/deployment-files', {
          body: {
            ...this._asked(),
            expect: plan!.expect,
            seen: plan!.now,
            replace_first: replaceFirst,
            take_over: takeOver
          }
        })
      );
    } catch (reason) {
      const error = ApiError.from(reason, this.trans);
      if (error.code !== 'changed_since') {
        throw error;
      }
      await this._plan();
      throw new ApiError({
        status: error.status,
        code: error.code,
        message: error.message,
        hint: this.trans.__(
          'Nothing was applied. The dialog shows the difference as it is now.'
        )
      });
    }
  }

  private _asked(): components['schemas']['PlanDescription'] {
    const { text, trust } = this.fields;
    return { text, file: '', folder: '', path: this.file.path, trust };
  }

  private async _plan(): Promise<void> {
    const number = ++this._plans;
    const { api } = this._service;
    try {
      const plan = await api.data(
        api.http.POST('/deployment-file-plans', { body: this._asked() })
      );
      if (number === this._plans) {
        this.set({ plan, fetching: null });
      }
    } catch (reason) {
      const error = ApiError.from(reason, this.trans);
      if (number !== this._plans) {
        return;
      }
      if (error.code === 'not_fetched') {
        const done = () => void this._plan();
        const fetching = new Fetching(
          this._service,
          error,
          done,
          this.trans,
          this._events
        );
        this.set({ plan: undefined, fetching });
      } else {
        this.set({ plan: undefined, fetching: null });
        this.put({ error });
      }
    }
  }

  private _plans = 0;
}

/** Whether the file could be applied if the earlier revision were stopped first. */
export function canReplaceFirst({ code, exists }: IPlan): boolean {
  return code === 'memory' && exists;
}

const NOTHING = {
  plan: undefined,
  trust: '',
  replaceFirst: false,
  takeOver: false,
  fetching: null
};
