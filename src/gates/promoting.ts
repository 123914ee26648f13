import { ApiError, FormModel } from '../core';
import type { TranslationBundle } from '@jupyterlab/translation';

import type {
  GatesService,
  IGateFile,
  IGateReport,
  IPromotion
} from './service';

export interface IPromoteFields {
  file: string;
  alias: string;
  reason: string;
  checking: boolean;
  /** The verdict that was shown; undefined before a check of this file. */
  report: IGateReport | undefined;
}

/** Checks a version by a gate file, shows the verdict, then promotes. */
export class PromoteForm extends FormModel<IPromoteFields, IPromotion> {
  constructor(
    readonly service: GatesService,
    trans: TranslationBundle
  ) {
    super(
      {
        file: 'gates.yaml',
        alias: 'champion',
        reason: '',
        checking: false,
        report: undefined
      },
      trans
    );
  }

  /** Only a version that passed, as the page showed it, can be promoted. */
  get valid(): boolean {
    const { alias, checking, report } = this.fields;
    return alias !== '' && !checking && report?.verdict === 'pass';
  }

  /** Judge the version by the file. */
  async check(): Promise<void> {
    const { file, checking } = this.fields;
    if (checking || file === '') {
      return;
    }
    this.set({ checking: true, report: undefined });
    try {
      this._read = await this.service.read(file);
      const report = await this.service.check(this._read, this._abort.signal);
      this.set({ checking: false, report });
    } catch (reason) {
      this.set({ checking: false });
      this.put({ error: ApiError.from(reason, this.trans) });
    }
  }

  /** End what is under way; for a form that is closed. */
  stop(): void {
    this._abort.abort();
  }

  protected async send({ alias, reason }: IPromoteFields): Promise<IPromotion> {
    // The file as it was when its verdict was shown.
    const done = await this.service.promote(
      this._read!,
      alias,
      reason.trim(),
      this._abort.signal
    );
    if (!done.moved && !done.already) {
      this.set({ report: done.report ?? undefined });
      throw new ApiError({
        status: 409,
        code: 'conflict',
        message: this.trans.__('The version does not pass any more.'),
        hint: this.trans.__('Look at the new verdict.')
      });
    }
    return done;
  }

  private _abort = new AbortController();
  private _read: IGateFile | undefined;
}
