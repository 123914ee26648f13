import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { IComparedRow, IRunComparison } from '../service';

import { ColumnTable, Rest, Section } from './section';
import { valuesText } from './words';

/** Things with a text value: parameters, tags, packages, ... */
export function RowSection(
  props: RowSection.IProps
): React.ReactElement | null {
  const { id, title, rows, comparison, all, trans } = props;
  const more = comparison.more?.[id];
  if (rows.length === 0) {
    return null;
  }
  const differing = rows.filter(row => row.differs).length;
  const shown = rows.filter(row => all || row.differs);
  const nameOf = props.nameOf ?? (name => name);
  return (
    <Section
      title={title}
      meta={trans.__('%1 of %2 differ', differing, rows.length)}
      initiallyOpen={differing > 0}
    >
      {shown.length > 0 && (
        <ColumnTable
          comparison={comparison}
          caption={title}
          first={trans.__('Name')}
        >
          {shown.map(row => (
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
                  <span className="gol-Comparison-value">
                    {valuesText(values)}
                  </span>
                </td>
              ))}
            </tr>
          ))}
        </ColumnTable>
      )}
      <Rest
        shown={shown.length}
        total={rows.length}
        more={more}
        trans={trans}
      />
    </Section>
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
