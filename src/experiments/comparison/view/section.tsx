import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { Disclosure } from '../../../core';
import type { IRunComparison } from '../service';

import { columnName, letter } from './messages';

/** A section of the comparison that can be closed. */
export function Section(props: {
  title: string;
  meta: string;
  children: React.ReactNode;
  initiallyOpen?: boolean;
}): React.ReactElement {
  const { title, meta, children, initiallyOpen = true } = props;
  return (
    <section className="gol-Comparison-section" aria-label={title}>
      <Disclosure title={title} meta={meta} initiallyOpen={initiallyOpen}>
        {children}
      </Disclosure>
    </section>
  );
}

/**
 * A section that lists differences between the runs, their share of all rows,
 * and rows that are left out.
 */
export function DifferingSection<R extends { differs: boolean }>(
  props: DifferingSection.IProps<R>
): React.ReactElement | null {
  const { comparison, title, first, last, rows, all, more, trans } = props;
  if (rows.length === 0) {
    return null;
  }
  const differing = rows.filter(row => row.differs).length;
  const shown = rows.filter(
    row => all || row.differs || props.mayDiffer?.(row)
  );
  return (
    <Section
      title={title}
      meta={trans.__('%1 of %2 differ', differing, rows.length)}
      initiallyOpen={props.initiallyOpen ?? true}
    >
      {shown.length > 0 && (
        <ColumnTable
          comparison={comparison}
          caption={title}
          first={first}
          last={last}
        >
          {shown.map(props.children)}
        </ColumnTable>
      )}
      <Rest
        shown={shown.length}
        total={rows.length}
        more={more}
        trans={trans}
      />
      {props.note && <p className="gol-Comparison-quiet">{props.note}</p>}
    </Section>
  );
}

export namespace DifferingSection {
  export interface IProps<R> {
    comparison: IRunComparison;
    title: string;
    rows: readonly R[];
    /** Show equal rows, too. */
    all: boolean;
    /** Whether a row that is not known to differ is shown as well. */
    mayDiffer?: (row: R) => boolean;
    /** The head of the names' column. */
    first: string;
    /** A column after those of the runs. */
    last?: string;
    /** Number of rows that the answer leaves out. */
    more: number | undefined;
    /** A note on the figures. */
    note?: string | false;
    initiallyOpen?: boolean;
    /** Draws a row. */
    children: (row: R) => React.ReactNode;
    trans: TranslationBundle;
  }
}

/** Rows below the columns' letters; the table scrolls sideways. */
function ColumnTable(props: ColumnTable.IProps): React.ReactElement {
  const { comparison, caption, first, last, children } = props;
  return (
    <div
      className="gol-Comparison-scroll"
      role="group"
      aria-label={caption}
      tabIndex={0}
    >
      <table className="gol-Comparison-table">
        <thead>
          <tr>
            <th scope="col">{first}</th>
            {comparison.columns.map(({ run_ids }, column) => (
              <th
                key={run_ids[0]}
                scope="col"
                title={columnName(comparison, column)}
                className={
                  column === comparison.baseline ? 'gol-mod-baseline' : ''
                }
              >
                <span className="gol-Comparison-letter">{letter(column)}</span>{' '}
                <span className="gol-Comparison-name">
                  {columnName(comparison, column)}
                </span>
              </th>
            ))}
            {last && <th scope="col">{last}</th>}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}

namespace ColumnTable {
  export interface IProps {
    comparison: IRunComparison;
    caption: string;
    /** The head of the names' column. */
    first: string;
    /** A column after those of the runs. */
    last?: string;
    children: React.ReactNode;
  }
}

/**
 * Says that nothing differs, that there are no rows, or how many rows are left
 * out.
 */
function Rest(props: {
  shown: number;
  total: number;
  more: number | undefined;
  trans: TranslationBundle;
}): React.ReactElement | null {
  const { shown, total, more, trans } = props;
  if (more) {
    return (
      <p className="gol-Comparison-quiet">
        {trans._n(
          '%1 more row is not shown.',
          '%1 more rows are not shown.',
          more
        )}
      </p>
    );
  }
  if (shown > 0) {
    return null;
  }
  return (
    <p className="gol-Comparison-quiet">
      {total > 0
        ? trans._n('%1 entry is equal.', 'All %1 entries are equal.', total)
        : trans.__('These runs have none.')}
    </p>
  );
}
