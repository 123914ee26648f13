import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { IComparedRow, IRunComparison } from '../service';

import { DifferingSection } from './section';
import { valuesText } from './messages';

/** Rows with a text value: parameters, tags, packages, ... */
export function RowSection(props: RowSection.IProps): React.ReactElement {
  const { id, title, rows, comparison, all, trans } = props;
  return (
    <DifferingSection
      comparison={comparison}
      title={title}
      nameOf={({ name }) => name}
      head={({ name }) => props.nameOf?.(name) ?? name}
      rows={rows}
      all={all}
      more={comparison.more?.[id]}
      initiallyOpen={rows.some(({ differs }) => differs)}
      cell={({ columns }, column) => (
        <span className="gol-Comparison-value">
          {valuesText(columns[column])}
        </span>
      )}
      cellClass={(row, column) =>
        differsFromBaseline(row, column, comparison.baseline)
          ? 'gol-mod-differs'
          : undefined
      }
      trans={trans}
    />
  );
}

export namespace RowSection {
  export interface IProps {
    /** The section's name in `more`. */
    id: string;
    title: string;
    rows: readonly IComparedRow[];
    comparison: IRunComparison;
    /** Show equal rows, too. */
    all: boolean;
    nameOf?: (name: string) => string;
    trans: TranslationBundle;
  }
}

function differsFromBaseline(
  row: IComparedRow,
  column: number,
  baseline: number
): boolean {
  return (
    row.differs &&
    valuesText(row.columns[column]) !== valuesText(row.columns[baseline])
  );
}
