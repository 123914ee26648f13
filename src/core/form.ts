import type { TranslationBundle } from '@jupyterlab/translation';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import { ApiError } from './errors';

/** The state of a form. */
export interface IFormSnapshot<F> {
  readonly fields: Readonly<F>;
  /** Whether the form was sent and waits for the answer. */
  readonly busy: boolean;
  /** Why the last submit failed; cleared when a field changes. */
  readonly error: ApiError | undefined;
}

/**
 * A form that is submitted only once, however often the button is clicked.
 *
 * All tries send the same {@link key}, so that the server does the work once even
 * if an answer was lost.
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

  /** The server's answer; undefined before it. */
  get result(): R | undefined {
    return this._result;
  }

  /** Whether the fields can be sent. */
  abstract get valid(): boolean;

  /** Change fields. */
  set(part: Partial<F>): void {
    this.put({ fields: { ...this.fields, ...part }, error: undefined });
  }

  /** Send the fields. Resolves to whether this succeeded; the snapshot has the error. */
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

/** The problem of a value that is no whole number from 0 to `most`; empty for a valid one. */
export function wholeNumberProblem(
  value: number,
  trans: TranslationBundle,
  most = Infinity
): string {
  if (Number.isInteger(value) && value >= 0 && value <= most) {
    return '';
  }
  return Number.isFinite(most)
    ? trans.__('Enter a whole number from 0 to %1.', most)
    : trans.__('Enter a whole number of 0 or more.');
}

/** 128 random bits. `randomUUID` is missing on pages without TLS. */
function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('');
}
