import type { TranslationBundle } from '@jupyterlab/translation';

import { FormModel } from '../core';

import type { IHostRequest, TargetsService } from './service';

/** What the start of a kernel sends, as a text that can be kept as the target's template. */
export class RequestForm extends FormModel<{ text: string }, IHostRequest> {
  constructor(
    private _service: TargetsService,
    readonly target: string,
    readonly request: IHostRequest,
    trans: TranslationBundle
  ) {
    super({ text: request.text }, trans);
  }

  get valid(): boolean {
    return this.request.can_keep && this.fields.text !== this.request.text;
  }

  /** The line that the last error is about, from 1; undefined without one. */
  get line(): number | undefined {
    const line = this.snapshot.error?.details.line;
    return typeof line === 'number' ? line : undefined;
  }

  protected send({ text }: { text: string }): Promise<IHostRequest> {
    return this._service.keepRequest(this.target, text);
  }
}
