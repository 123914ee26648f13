import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { IQuestion, IRunColumn } from './service';

/** The smallest and the largest finite value of a column. */
export interface IScale {
  readonly low: number;
  readonly high: number;
}

/**
 * The range of the matching runs' values, for columns that are coloured by
 * value.
 */
export class ColorScales {
  constructor(private _fetch: ColorScales.Fetch) {}

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Return null while the range is unknown, or if no run has a number. */
  get(column: string): IScale | null {
    return this._scales.get(column) ?? null;
  }

  /** Fetch the ranges of these columns for these runs. */
  ask(question: IQuestion, columns: readonly string[]): void {
    const { experiments, query, lifecycle } = question;
    const key = JSON.stringify([experiments, query, lifecycle]);
    const sameRuns = key === this._key;
    this._key = key;
    this._question = question;
    const added = columns.filter(
      name => !sameRuns || !this._columns.includes(name)
    );
    this._columns = [...columns];
    added.forEach(name => void this._measure(name));
  }

  refresh(): void {
    this._columns.forEach(name => void this._measure(name));
  }

  private async _measure(column: string): Promise<void> {
    const { _question: question, _key: key } = this;
    if (!question) {
      return;
    }
    const end = async (descending: boolean) => {
      const found = await this._fetch(
        { ...question, sort: [{ column, descending }], columns: [column] },
        column
      );
      return found?.values.find(
        (value): value is number => typeof value === 'number'
      );
    };
    try {
      const [low, high] = await Promise.all([end(false), end(true)]);
      if (key !== this._key) {
        return;
      }
      if (low === undefined || high === undefined) {
        this._scales.delete(column);
      } else {
        this._scales.set(column, { low, high });
      }
      this._changed.emit();
    } catch {
      // The table itself shows the error; without a scale there is no colour.
      this._scales.delete(column);
    }
  }

  private _question: IQuestion | null = null;
  private _key = '';
  private _columns: string[] = [];
  private _scales = new Map<string, IScale>();
  private _changed = new Signal<this, void>(this);
}

export namespace ColorScales {
  /** Fetches the first values of a column in the order of the question. */
  export type Fetch = (
    question: IQuestion,
    column: string
  ) => Promise<IRunColumn | undefined>;
}

/**
 * Return a value's place between the ends, 0 to 1; the middle if all are equal.
 */
export function shareOf(value: number, { low, high }: IScale): number {
  return high > low
    ? Math.min(1, Math.max(0, (value - low) / (high - low)))
    : 0.5;
}
