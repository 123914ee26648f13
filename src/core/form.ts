import type { TranslationBundle } from '@jupyterlab/translation';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import { ApiError } from './errors';

/** What a form's view needs to draw. */
export interface IFormSnapshot<F> {
  readonly fields: Readonly<F>;
  /** Whether it was sent and no answer came yet. */
  readonly busy: boolean;
  /** Why the last sending failed; gone when a field changes. */
  readonly error: ApiError | undefined;
}

/**
 * A form that sends its fields once, whatever is clicked how often.
 *
 * Its {@link key} is one for all tries, so that the server does the work once even
 * where an answer was lost.
 */
export abstract class FormModel<F extends object, R> {
  constructor(fields: F, trans: TranslationBundle) {
    this.trans = trans;
    this._snapshot = { fields, busy: false, error: undefined };
  }

  /** The idempotency key of this form. */
  readonly key = newKey();

  get changed(): ISignal<this, IFormSnapshot<F>> {
    return this._changed;
  }

  get snapshot(): IFormSnapshot<F> {
    return this._snapshot;
  }

  get fields(): Readonly<F> {
    return this._snapshot.fields;
  }

  /** What the server answered, once it did. */
  get result(): R | undefined {
    return this._result;
  }

  /** Whether the fields can be sent. */
  abstract get valid(): boolean;

  /** Change fields. */
  set(part: Partial<F>): void {
    this.put({ fields: { ...this.fields, ...part }, error: undefined });
  }

  /** Send the fields. Resolves to whether that succeeded; a failure is in the snapshot. */
  async submit(): Promise<boolean> {
    if (this._snapshot.busy || !this.valid || this._result !== undefined) {
      return false;
    }
    this.put({ busy: true, error: undefined });
    try {
      this._result = await this.send(this.fields);
      this.put({ busy: false });
      return true;
    } catch (reason) {
      this.put({ busy: false, error: ApiError.from(reason, this.trans) });
      return false;
    }
  }

  protected abstract send(fields: Readonly<F>): Promise<R>;

  protected put(part: Partial<IFormSnapshot<F>>): void {
    this._snapshot = { ...this._snapshot, ...part };
    this._changed.emit(this._snapshot);
  }

  protected readonly trans: TranslationBundle;
  private _snapshot: IFormSnapshot<F>;
  private _result: R | undefined;
  private _changed = new Signal<this, IFormSnapshot<F>>(this);
}

/** Why a figure is no whole number from 0 to `most`; empty where it is one. */
export function wholeNumberProblem(
  value: number,
  trans: TranslationBundle,
  most = Infinity
): string {
  if (Number.isInteger(value) && value >= 0 && value <= most) {
    return '';
  }
  return Number.isFinite(most)
    ? trans.__('Give a whole number from 0 to %1.', most)
    : trans.__('Give a whole number, 0 or more.');
}

/** 128 random bits; also where the page is not served over TLS and `randomUUID` is missing. */
function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('');
}
