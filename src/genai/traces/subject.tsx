import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { RelativeTime, StatusBadge } from '../../core';
import { formatMoney } from '../../core/money';
import { TIMES } from '../../experiments/table/column-messages';
import type { CellValue, IRow } from '../../experiments/table/rows';
import { valueOf } from '../../experiments/table/rows';
import type {
  IQuestion,
  IRunColumnInfo,
  IRunColumns
} from '../../experiments/table/service';
import type {
  ITableSource,
  ITableSubject
} from '../../experiments/table/subject';
import type { IShownColumn } from '../../experiments/table/view-state';
import { figure } from '../../experiments/table/view/cells';
import { WINDOW } from '../../experiments/table/windows';

import { statusWord } from './messages';
import { formatSpanTime } from './time-range';

const NAME = 'name';
const ALWAYS = [NAME, 'status', 'start_time', 'trace_id', 'session'];
/** Columns that are shown first if a trace has them. */
const WHERE_THERE = ['session', 'user', 'model', 'run', 'tokens', 'cost'];
/** Assessments that are shown first, by how many traces have them. */
const MOST_ASSESSMENTS = 4;
/** With fewer traces the next one may well have new columns. */
const ENOUGH = 20;
const COUNTS = ['tokens', 'input_tokens', 'output_tokens', 'spans'];

/** The rows of the page of traces. */
export function traceSubject(trans: TranslationBundle): ITableSubject {
  return {
    name: NAME,
    always: ALWAYS,
    // The page itself decides when rows are fetched again: live, or on demand.
    kinds: [],
    groups: true,
    colors: false,
    choose: chooseColumns,
    cell: (row, column, value) => traceCell(row, column, value, trans),
    words: {
      rows: trans.__('Traces'),
      count: traces => trans._n('%1 trace', '%1 traces', traces),
      attributes: trans.__('Trace'),
      example: "status = ERROR AND duration > 2 AND request CONTAINS 'refund'",
      selectAll: trans.__('Select all matching traces'),
      select: ({ id }, name) => trans.__('Select trace %1', name || (id ?? '')),
      having: traces =>
        trans._n('%1 trace has a value', '%1 traces have a value', traces)
    }
  };
}

/** Choose the name, what was asked and answered, time, duration, tokens, cost and the most frequent assessments. */
export async function chooseColumns(
  { columns, state }: IRunColumns,
  ask: (names: string[]) => IQuestion,
  service: Pick<ITableSource, 'window'>
): ReturnType<ITableSubject['choose']> {
  const shown = firstColumns(columns);
  const names = [...new Set([...ALWAYS, ...shown.map(({ name }) => name)])];
  try {
    const sample = await service.window(ask(names), 0, 2 * WINDOW);
    return {
      sample,
      columns: shown,
      certain: state.complete && sample.run_ids.length >= ENOUGH
    };
  } catch {
    // The table's own question fails in the same way, and shows the error.
    return { sample: null, columns: shown, certain: false };
  }
}

/** Return the default columns. */
export function firstColumns(
  columns: readonly IRunColumnInfo[]
): IShownColumn[] {
  const used = columns.filter(({ runs }) => runs > 0);
  const has = (name: string) => used.some(({ column }) => column === name);
  const assessments = used
    .filter(({ column }) => column.startsWith('metrics.'))
    .sort((a, b) => b.runs - a.runs)
    .slice(0, MOST_ASSESSMENTS);
  return [
    { name: NAME, pinned: true },
    ...[
      'start_time',
      'request',
      'response',
      'duration',
      ...WHERE_THERE.filter(has),
      ...assessments.map(({ column }) => column)
    ].map(name => ({ name }))
  ];
}

/** Draw a value of a trace; undefined: as that of a run. */
function traceCell(
  row: IRow,
  column: string,
  value: CellValue,
  trans: TranslationBundle
): React.ReactNode {
  if (column === NAME) {
    return <Name row={row} name={String(value ?? '')} trans={trans} />;
  }
  if (value === null || value === undefined || value === '') {
    return undefined;
  }
  if (column === 'status') {
    return <StatusBadge {...statusWord(String(value), trans)} />;
  }
  if (typeof value === 'number') {
    if (TIMES.includes(column)) {
      return <RelativeTime seconds={value} trans={trans} />;
    }
    if (column === 'duration') {
      return (
        <span title={trans.__('%1 seconds', value)}>
          {formatSpanTime(value)}
        </span>
      );
    }
    if (column === 'cost') {
      return (
        <span title={trans.__('Cost in US dollars')}>{formatMoney(value)}</span>
      );
    }
    return (
      <span title={String(value)}>
        {COUNTS.includes(column) ? value.toLocaleString() : figure(value)}
      </span>
    );
  }
  return <span title={value}>{value}</span>;
}

function Name(props: {
  row: IRow;
  name: string;
  trans: TranslationBundle;
}): React.ReactElement {
  const { row, trans } = props;
  const name = props.name || row.id || '';
  const { tone, label } = statusWord(
    String(valueOf(row, 'status') ?? ''),
    trans
  );
  return (
    <span className="gol-RunTable-name">
      <StatusBadge
        tone={tone}
        caption={label}
        label={<span className="gol-VisuallyHidden">{label}</span>}
      />
      <span className="gol-RunTable-text" title={name}>
        {name}
      </span>
    </span>
  );
}
