import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { DataTable, Disclosure } from '../../../core';
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
  const { comparison, title, rows, all, more, trans } = props;
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
        <div
          className="gol-Comparison-scroll"
          role="group"
          aria-label={title}
          tabIndex={0}
        >
          <DataTable
            caption={title}
            className="gol-Comparison-table"
            rows={shown}
            rowKey={props.nameOf}
            columns={[
              {
                id: 'name',
                title: props.first ?? trans.__('Name'),
                isHead: true,
                cell: props.head ?? props.nameOf,
                tip: props.nameOf
              },
              ...comparison.columns.map(({ run_ids }, column) => ({
                id: run_ids[0],
                title: (
                  <>
                    <span className="gol-Comparison-letter">
                      {letter(column)}
                    </span>{' '}
                    <span className="gol-Comparison-name">
                      {columnName(comparison, column)}
                    </span>
                  </>
                ),
                titleTip: columnName(comparison, column),
                headClass:
                  column === comparison.baseline
                    ? 'gol-mod-baseline'
                    : undefined,
                cell: (row: R) => props.cell(row, column),
                cellClass: (row: R) => props.cellClass?.(row, column)
              })),
              ...(props.last ? [props.last] : [])
            ]}
          />
        </div>
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
    /** The title of the names' column; "Name" by default. */
    first?: string;
    /** The name of a row, each once. */
    nameOf: (row: R) => string;
    /** Draws the name of a row. */
    head?: (row: R) => React.ReactNode;
    /** Draws the cell of a row in a column of the comparison. */
    cell: (row: R, column: number) => React.ReactNode;
    cellClass?: (row: R, column: number) => string | undefined;
    /** A column after those of the runs. */
    last?: DataTable.IColumn<R>;
    /** Number of rows that the answer leaves out. */
    more: number | undefined;
    /** A note on the figures. */
    note?: string | false;
    initiallyOpen?: boolean;
    trans: TranslationBundle;
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
