import type { TranslationBundle } from '@jupyterlab/translation';
import { caretDownIcon, caretRightIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { RelativeTime, formatDuration, formatMoment } from '../../../core';
import { formatNumber } from '../../../core/format';
import type { IRun } from '../../service';
import { statusWord } from '../../view/messages';
import {
  aggregateWord,
  columnLabel,
  groupOfColumn,
  groupWord
} from '../column-messages';
import type { IAggregate, IRunGroup } from '../service';
import type { IRow } from '../rows';
import { valueOf } from '../rows';

import { figure } from './cells';

const TIMES = ['start_time', 'end_time'];

/** The head of a group: its common values, and its number of runs. */
export function GroupName(props: {
  group: IRunGroup;
  /** The columns by which runs are grouped. */
  by: readonly string[];
  /** Such as "3 runs". */
  count: (rows: number) => string;
  trans: TranslationBundle;
}): React.ReactElement {
  const { group, by, count, trans } = props;
  const level = group.path.length - 1;
  const column = by[level] ?? '';
  const value = group.path[level];
  const Caret = group.open ? caretDownIcon : caretRightIcon;
  const word = groupWord(groupOfColumn(column), trans);
  const label = columnLabel(column, trans);
  const text =
    value === null
      ? trans.__('no value')
      : column === 'status'
        ? statusWord(value as IRun['status'], trans).label
        : value || trans.__('empty');
  return (
    <span
      className="gol-RunTable-name gol-RunTable-group"
      style={{ paddingInlineStart: level * INDENT_PX }}
      title={`${word ? `${label} (${word})` : label}: ${text}`}
    >
      <Caret.react tag="span" className="gol-Icon" />
      <span className="gol-RunTable-by">{label}</span>
      <span
        className={`gol-RunTable-text ${value ? '' : 'gol-RunTable-quiet'}`}
      >
        {text}
      </span>
      <span className="gol-RunTable-size">
        <span aria-hidden="true">{group.runs.toLocaleString()}</span>
        <span className="gol-VisuallyHidden">{count(group.runs)}</span>
      </span>
    </span>
  );
}

/** Indent of a group's rows from its head, in pixels. */
export const INDENT_PX = 18;

/** A group's value in a column: an aggregate of numbers, or the common text. */
export function GroupValue(props: {
  row: IRow;
  group: IRunGroup;
  column: string;
  aggregate: IAggregate | undefined;
  trans: TranslationBundle;
}): React.ReactElement {
  const { row, group, column, trans } = props;
  const value = valueOf(row, column);
  const spread = group.spreads[column];
  if (typeof value === 'string') {
    const text =
      column === 'status'
        ? statusWord(value as IRun['status'], trans).label
        : value;
    return (
      <span className="gol-RunTable-quiet" title={text}>
        {text}
      </span>
    );
  }
  if (!spread) {
    return (
      <span className="gol-VisuallyHidden">
        {groupOfColumn(column) === 'metric'
          ? trans.__('no value')
          : trans.__('several values')}
      </span>
    );
  }
  if (typeof value !== 'number') {
    return (
      <span className="gol-RunTable-quiet" title={spreadWords(props, spread)}>
        {trans.__('not finite')}
      </span>
    );
  }
  if (TIMES.includes(column)) {
    return (
      <span title={spreadWords(props, spread)}>
        <RelativeTime seconds={value} trans={trans} />
      </span>
    );
  }
  return (
    <span title={spreadWords(props, spread)}>
      {column === 'duration' ? formatDuration(value) : figure(value)}
    </span>
  );
}

/** Return the number and the range of the aggregated values, as text. */
function spreadWords(
  props: {
    column: string;
    aggregate: IAggregate | undefined;
    trans: TranslationBundle;
  },
  spread: IRunGroup['spreads'][string]
): string {
  const { column, trans } = props;
  const isTime = TIMES.includes(column);
  const word = (value: number | null) =>
    value === null
      ? ''
      : isTime
        ? formatMoment(value)
        : column === 'duration'
          ? formatDuration(value)
          : formatNumber(value);
  const lines: string[] = [];
  if (spread.finite > 0) {
    lines.push(
      aggregateWord(props.aggregate ?? (isTime ? 'max' : 'mean'), trans),
      trans._n(
        '%2 value, %3 to %4',
        '%2 values, %3 to %4',
        spread.finite,
        spread.finite.toLocaleString(),
        word(spread.low),
        word(spread.high)
      )
    );
  }
  if (spread.other > 0) {
    lines.push(
      trans._n(
        '%2 NaN or infinite value is left out',
        '%2 NaN or infinite values are left out',
        spread.other,
        spread.other.toLocaleString()
      )
    );
  }
  return lines.join('\n');
}
