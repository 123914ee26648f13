import type { RunTableModel } from '../table/model';

import type { ICondition } from './conditions';
import {
  conditionText,
  hasCondition,
  withCondition,
  withoutCondition
} from './conditions';

/** The conditions that brushes added to the table's query. */
export class Narrowing {
  constructor(private _table: Pick<RunTableModel, 'view' | 'setView'>) {}

  /** The conditions that the query still has. */
  get conditions(): readonly string[] {
    return this._conditions;
  }

  /** Add conditions; a later one replaces an earlier one on the same column. */
  narrow(conditions: readonly ICondition[]): void {
    let { query } = this._table.view;
    for (const condition of conditions) {
      const text = conditionText(condition);
      const old = this._conditions.find(
        each => columnOf(each) === columnOf(text)
      );
      if (old) {
        query = withoutCondition(query, old);
        this._conditions = this._conditions.filter(each => each !== old);
      }
      if (!hasCondition(query, text)) {
        query = withCondition(query, text);
      }
      this._conditions = [...this._conditions, text];
    }
    this._table.setView({ query });
  }

  widen(condition: string): void {
    this._conditions = this._conditions.filter(each => each !== condition);
    const { query } = this._table.view;
    this._table.setView({ query: withoutCondition(query, condition) });
  }

  /**
   * Forget conditions that the query no longer has. @returns whether there was
   * one
   */
  look(): boolean {
    const { query } = this._table.view;
    const kept = this._conditions.filter(each => hasCondition(query, each));
    const widened = kept.length !== this._conditions.length;
    this._conditions = kept;
    return widened;
  }

  private _conditions: readonly string[] = [];
}

/** Return the column of a condition's text. */
function columnOf(text: string): string {
  return text.replace(/ (BETWEEN|IN|=) .*$/s, '');
}
