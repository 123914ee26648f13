import type { TranslationBundle } from '@jupyterlab/translation';

import { ApiError, FormModel } from '../../core';
import type { IYamlFile } from '../../core/yaml-file';
import { unreadable } from '../../core/yaml-file';

import type { AnswersService, IBegun, IPlan, ITarget } from './service';

/** Models are asked by the machine of the Lab. */
export const HERE = '';

export interface IPlanFields {
  text: string;
  /** Where models are asked and answers scored: a target, or {@link HERE}. */
  on: string;
  /** What the file would do there; undefined until the server said so. */
  plan: IPlan | undefined;
  /** Why the chosen target cannot do it. */
  onProblem: string;
  targets: readonly ITarget[];
  /** Whether the server makes the plan now. */
  planning: boolean;
}

type IService = Pick<AnswersService, 'plan' | 'begin' | 'targets'>;

/** Shows what an evaluation file would ask and what it costs at most, then begins what was shown. */
export class PlanForm extends FormModel<IPlanFields, IBegun> {
  constructor(
    private _service: IService,
    readonly file: IYamlFile,
    trans: TranslationBundle
  ) {
    super(
      {
        text: '',
        on: HERE,
        plan: undefined,
        onProblem: '',
        targets: [],
        planning: false
      },
      trans
    );
  }

  get valid(): boolean {
    const { plan, planning } = this.fields;
    return plan !== undefined && !planning && plan.problems?.length === 0;
  }

  /** Read the file and the targets, and ask for the plan. */
  async load(): Promise<void> {
    this.set({ plan: undefined, onProblem: '' });
    // An administrator may have switched targets off.
    const targets = this._service.targets().catch(() => []);
    if (await this._read()) {
      await this._plan(false);
    }
    // An error of the plan stays.
    this.put({ fields: { ...this.fields, targets: await targets } });
  }

  /** Choose where models are asked. */
  async choose(on: string): Promise<void> {
    this.set({ on, onProblem: '' });
    if (this.fields.text) {
      await this._plan(true);
    }
  }

  protected async send(fields: Readonly<IPlanFields>): Promise<IBegun> {
    const { plan, on } = fields;
    // What is on the disk now is sent: the server refuses another file than that of the plan.
    if (!(await this._read())) {
      throw this.snapshot.error!;
    }
    try {
      return await this._service.begin(this._asked(), plan!.seen!, this.key);
    } catch (reason) {
      const error = ApiError.from(reason, this.trans);
      if (['changed_since', 'evaluation_file'].includes(error.code)) {
        await this._plan(false);
      } else if (
        on !== HERE &&
        ['not_connected', 'not_found'].includes(error.code)
      ) {
        this.set({ targets: await this._service.targets().catch(() => []) });
      }
      throw error;
    }
  }

  private async _read(): Promise<boolean> {
    try {
      this.set({ text: await this.file.read() });
      return true;
    } catch (reason) {
      this.put({ error: unreadable(this.file.path, reason, this.trans) });
      return false;
    }
  }

  private _asked(): { text: string; path: string; on: string } {
    const { text, on } = this.fields;
    return { text, path: this.file.path, on };
  }

  /** Ask for the plan. `forTarget`: a failure is one of the target that was chosen. */
  private async _plan(forTarget: boolean): Promise<void> {
    const number = ++this._plans;
    this.set({ planning: true });
    try {
      const plan = await this._service.plan(this._asked());
      if (number === this._plans) {
        this.set({ plan, planning: false });
      }
    } catch (reason) {
      if (number !== this._plans) {
        return;
      }
      const error = ApiError.from(reason, this.trans);
      const isOfTarget =
        forTarget && this.fields.on !== HERE && error.code !== 'network';
      this.set({
        plan: undefined,
        planning: false,
        onProblem: isOfTarget ? `${error.message} ${error.hint}`.trim() : ''
      });
      if (!isOfTarget) {
        this.put({ error });
      }
    }
  }

  private _plans = 0;
}
