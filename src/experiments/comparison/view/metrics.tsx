import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { IMetricCell, IRunComparison } from '../service';

import { DifferingSection } from './section';
import { differenceText, estimateText, exceptions } from './messages';

/** Metrics: means with their intervals, and differences to the baseline. */
export function MetricSection(props: MetricSection.IProps): React.ReactElement {
  const { comparison, all, trans } = props;
  const rows = comparison.metrics;
  const hasIntervals = rows.some(
    row =>
      typeof row.together?.margin === 'number' ||
      row.columns.some(cell => typeof cell.estimate.margin === 'number')
  );
  return (
    <DifferingSection
      comparison={comparison}
      title={trans.__('Metrics')}
      nameOf={({ name }) => name}
      cell={({ columns }, column) => (
        <Value cell={columns[column]} trans={trans} />
      )}
      last={
        comparison.repeats
          ? {
              id: 'mean',
              title: trans.__('Mean'),
              cell: ({ together }) => together && estimateText(together)
            }
          : undefined
      }
      rows={rows}
      all={all}
      more={comparison.more?.metrics}
      note={
        hasIntervals &&
        trans.__(
          '± and [ ] are 95 % confidence intervals over repeats (Student, Welch). If an interval includes 0, the difference may be chance.'
        )
      }
      trans={trans}
    />
  );
}

export namespace MetricSection {
  export interface IProps {
    comparison: IRunComparison;
    /** Show equal metrics, too. */
    all: boolean;
    trans: TranslationBundle;
  }
}

function Value(props: {
  cell: IMetricCell;
  trans: TranslationBundle;
}): React.ReactElement {
  const { cell, trans } = props;
  const odd = exceptions(cell, trans);
  const difference = differenceText(cell);
  const { n } = cell.estimate;
  const values = cell.values.map(value => value ?? '–').join(', ');
  return (
    <>
      <span className="gol-Comparison-figure" title={values}>
        {n > 0 && estimateText(cell.estimate)}
        {n > 1 && (
          <span className="gol-Comparison-count">{trans.__('n = %1', n)}</span>
        )}
        {odd && <span className="gol-Comparison-odd">{odd}</span>}
      </span>
      {difference && (
        <span className="gol-Comparison-difference">
          {difference}
          {cell.verdict === 'unclear' && (
            <span className="gol-Comparison-chance">
              {trans.__('may be chance')}
            </span>
          )}
          {cell.verdict === 'higher' && (
            <span className="gol-Comparison-clear">{trans.__('higher')}</span>
          )}
          {cell.verdict === 'lower' && (
            <span className="gol-Comparison-clear">{trans.__('lower')}</span>
          )}
        </span>
      )}
    </>
  );
}
