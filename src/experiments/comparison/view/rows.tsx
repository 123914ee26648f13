import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { IComparedRow, IRunComparison } from '../service';

import { DifferingSection } from './section';
import { valuesText } from './messages';

/** Rows with a text value: parameters, tags, packages, ... */
export function RowSection(props: RowSection.IProps): React.ReactElement {
  const { id, title, rows, comparison, all, trans } = props;
  const nameOf = props.nameOf ?? (name => name);
  return (
    <DifferingSection
      comparison={comparison}
      title={title}
      first={trans.__('Name')}
      rows={rows}
      all={all}
      more={comparison.more?.[id]}
      initiallyOpen={rows.some(({ differs }) => differs)}
      trans={trans}
    >
      {row => (
        <tr key={row.name}>
          <th scope="row" title={row.name}>
            {nameOf(row.name)}
          </th>
          {row.columns.map((values, column) => (
            <td
              key={column}
              className={
                differsFromBaseline(row, column, comparison.baseline)
                  ? 'gol-mod-differs'
                  : undefined
              }
            >
              <span className="gol-Comparison-value">{valuesText(values)}</span>
            </td>
          ))}
        </tr>
      )}
    </DifferingSection>
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
