import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { ActionButton } from '../../../core';
import type { ComparisonModel } from '../model';
import type { IRunComparison } from '../service';

import { columnName, letter } from './messages';

/** The runs of each column, and the choice of the baseline. */
export function Columns(props: Columns.IProps): React.ReactElement {
  const { comparison, model, trans } = props;
  return (
    <ul className="gol-Comparison-columns" aria-label={trans.__('Runs')}>
      {comparison.columns.map(({ run_ids, mixed }, column) => {
        const runs = comparison.runs.filter(run => run.column === column);
        const isBaseline = column === comparison.baseline;
        const name = columnName(comparison, column);
        return (
          <li
            key={run_ids[0]}
            className={`gol-Comparison-column ${isBaseline ? 'gol-mod-baseline' : ''}`}
          >
            <span className="gol-Comparison-letter">{letter(column)}</span>
            <span className="gol-Comparison-name" title={name}>
              {name}
            </span>
            <span
              className="gol-Comparison-runs"
              title={runs
                .map(({ run_id, repeat }) => `${run_id} ${repeat ?? ''}`.trim())
                .join('\n')}
            >
              {run_ids.length > 1
                ? trans._n('%1 repeat', '%1 repeats', run_ids.length)
                : [run_ids[0].slice(0, 8), runs[0]?.repeat]
                    .filter(Boolean)
                    .join(' · ')}
            </span>
            {mixed && (
              <span className="gol-Comparison-mixed">
                {trans.__('These repeats ran different code.')}
              </span>
            )}
            {isBaseline ? (
              <span className="gol-Comparison-pinned">
                {trans.__('Baseline')}
              </span>
            ) : (
              <ActionButton
                label={trans.__('Make baseline')}
                caption={trans.__('Compare the other runs with %1', name)}
                onClick={() => {
                  model.baseline = run_ids[0];
                }}
              />
            )}
          </li>
        );
      })}
    </ul>
  );
}

export namespace Columns {
  export interface IProps {
    comparison: IRunComparison;
    model: ComparisonModel;
    trans: TranslationBundle;
  }
}
