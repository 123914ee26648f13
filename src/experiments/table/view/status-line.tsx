import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { ActionButton, formatDuration, formatMoment } from '../../../core';
import { useNow } from '../../../core/ui/time';
import { canCompare } from '../actions';
import type { IRunsState } from '../service';
import type { IWindowsSnapshot } from '../windows';

/** Age below which the rows count as up to date, in seconds. */
const FRESH_S = 10;

/** The number of runs, and their age; with a selection, its actions. */
export function StatusLine(props: StatusLine.IProps): React.ReactElement {
  const { snapshot, selected, deleted, trans } = props;
  const { matched, groups, total, state } = snapshot;
  return (
    <div className="gol-RunTable-status">
      <span className="gol-RunTable-totals" role="status">
        {total !== null && countWords(matched, total, deleted, trans)}
        {groups !== null &&
          ` · ${trans._n('%2 group', '%2 groups', groups, groups.toLocaleString())}`}
        {selected > 0 && (
          <strong>
            {' · '}
            {trans.__('%1 selected', selected.toLocaleString())}
          </strong>
        )}
      </span>
      {selected > 0 && (
        <span
          className="gol-RunTable-actions"
          role="toolbar"
          aria-label={trans.__('Selected runs')}
        >
          {selected < matched && (
            <ActionButton
              label={trans.__('Select all %1', matched.toLocaleString())}
              onClick={props.onSelectAll}
            />
          )}
          {canCompare(selected) && (
            <ActionButton
              label={trans.__('Compare')}
              caption={trans.__('Show the selected runs side by side')}
              onClick={props.onCompare}
            />
          )}
          <ActionButton
            label={trans.__('Copy CSV')}
            caption={trans.__('Copy the shown columns as CSV')}
            onClick={props.onCopyCsv}
          />
          <ActionButton
            label={trans.__('Copy DataFrame')}
            caption={trans.__(
              'Copy code for a cell that makes a pandas DataFrame of the shown columns'
            )}
            onClick={props.onCopyDataFrame}
          />
          {deleted ? (
            <ActionButton
              label={trans.__('Restore')}
              caption={trans.__('Restore the selected runs')}
              onClick={props.onRestore}
            />
          ) : (
            <>
              <ActionButton label={trans.__('Tag…')} onClick={props.onTag} />
              <ActionButton
                label={trans.__('Delete')}
                caption={trans.__(
                  'Delete the selected runs; they can be restored'
                )}
                onClick={props.onDelete}
              />
            </>
          )}
          <ActionButton
            label={trans.__('Clear')}
            caption={trans.__('Clear the selection (Escape)')}
            onClick={props.onClear}
          />
        </span>
      )}
      {state && <Freshness state={state} trans={trans} />}
    </div>
  );
}

export namespace StatusLine {
  export interface IProps {
    snapshot: IWindowsSnapshot;
    selected: number;
    /** Whether deleted runs are shown. */
    deleted: boolean;
    onSelectAll: () => void;
    onCompare: () => void;
    onCopyCsv: () => void;
    onCopyDataFrame: () => void;
    onTag: () => void;
    onDelete: () => void;
    onRestore: () => void;
    onClear: () => void;
    trans: TranslationBundle;
  }
}

function countWords(
  matched: number,
  total: number,
  deleted: boolean,
  trans: TranslationBundle
): string {
  const all = total.toLocaleString();
  if (matched !== total) {
    return deleted
      ? trans.__('%1 of %2 deleted runs', matched.toLocaleString(), all)
      : trans.__('%1 of %2 runs', matched.toLocaleString(), all);
  }
  return deleted
    ? trans._n('%2 deleted run', '%2 deleted runs', total, all)
    : trans._n('%2 run', '%2 runs', total, all);
}

/** The source of the runs, and their age. */
export function Freshness(props: {
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
