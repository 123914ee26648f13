import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { ActionButton, formatDuration, formatMoment } from '../../../core';
import { useNow } from '../../../core/ui/time';
import type { IRunsState } from '../service';
import type { IWindowsSnapshot } from '../windows';

/** Age below which the rows count as up to date, in seconds. */
const FRESH_S = 10;

/** The number of rows, and their age; with a selection, its actions. */
export function StatusLine(props: StatusLine.IProps): React.ReactElement {
  const { snapshot, selected, trans } = props;
  const { groups, state } = snapshot;
  return (
    <div className="gol-RunTable-status">
      <span className="gol-RunTable-totals" role="status">
        {props.totals}
        {groups !== null &&
          ` · ${trans._n('%2 group', '%2 groups', groups, groups.toLocaleString())}`}
        {selected > 0 && (
          <strong>
            {' · '}
            {trans.__('%1 selected', selected.toLocaleString())}
          </strong>
        )}
      </span>
      {props.children}
      {selected > 0 && (
        <span
          className="gol-RunTable-actions"
          role="toolbar"
          aria-label={props.of}
        >
          {props.actions}
          <ActionButton
            label={trans.__('Clear')}
            caption={trans.__('Clear the selection (Escape)')}
            onClick={props.onClear}
          />
        </span>
      )}
      {state &&
        (props.progress && !state.complete ? (
          <span className="gol-RunTable-freshness" role="status">
            {props.progress}
          </span>
        ) : (
          <Freshness state={state} trans={trans} />
        ))}
    </div>
  );
}

export namespace StatusLine {
  export interface IProps {
    snapshot: IWindowsSnapshot;
    selected: number;
    totals: string;
    /** Said while not all rows are read; default: how many are. */
    progress?: string;
    /** Read aloud: what the actions are for. */
    of: string;
    /** What can be done with the selected rows. */
    actions?: React.ReactNode;
    onClear: () => void;
    /** Between the totals and the actions. */
    children?: React.ReactNode;
    trans: TranslationBundle;
  }
}

/** The source of the rows, and their age. */
function Freshness(props: {
  state: IRunsState;
  trans: TranslationBundle;
}): React.ReactElement {
  const { state, trans } = props;
  const now = useNow(5);
  if (!state.complete) {
    const { read, total } = state;
    const label =
      total === null
        ? trans.__('Reading: %1 runs so far', read.toLocaleString())
        : trans.__(
            'Reading: %1 of %2 runs',
            read.toLocaleString(),
            total.toLocaleString()
          );
    return (
      <span className="gol-RunTable-freshness" role="status">
        {label}
        <progress
          aria-label={label}
          max={total ?? undefined}
          value={total === null ? undefined : read}
        />
      </span>
    );
  }
  const source = sourceWord(state.source, trans);
  const { as_of: asOf } = state;
  const age = asOf === null ? null : Math.max(0, now - asOf);
  return (
    <span
      className="gol-RunTable-freshness"
      title={
        asOf === null
          ? undefined
          : trans.__('Includes all changes before %1', formatMoment(asOf))
      }
    >
      {[
        source,
        age === null
          ? ''
          : age < FRESH_S && !state.problem
            ? trans.__('up to date')
            : trans.__('as of %1 ago', formatDuration(age)),
        state.refreshing ? trans.__('refreshing…') : ''
      ]
        .filter(Boolean)
        .join(' · ')}
    </span>
  );
}

function sourceWord(
  source: IRunsState['source'],
  trans: TranslationBundle
): string {
  switch (source) {
    case 'sqlite':
      return trans.__("read from MLflow's file");
    case 'postgresql':
      return trans.__("read from MLflow's database");
    case 'api':
      return trans.__("read through MLflow's API");
    case '':
      return '';
  }
}
