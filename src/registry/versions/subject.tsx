import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { Tone } from '../../core';
import { RelativeTime, StatusBadge } from '../../core';
import { TIMES } from '../../experiments/table/column-messages';
import type {
  IQuestion,
  IRunColumnInfo,
  IRunColumns
} from '../../experiments/table/service';
import { rank } from '../../experiments/metric-choice';
import type {
  ITableSource,
  ITableSubject
} from '../../experiments/table/subject';
import type { CellValue } from '../../experiments/table/rows';
import type { IShownColumn } from '../../experiments/table/view-state';
import { figure } from '../../experiments/table/view/cells';
import { WINDOW } from '../../experiments/table/windows';

import { versionOf } from './service';

const MODEL = 'model';
const METRICS = 'metrics.';
const MOST_METRICS = 6;
/** With fewer versions the next one may well have new columns. */
const ENOUGH = 20;
const ALWAYS = [MODEL, 'version', 'status', 'run_id'];
/** Attributes that are shown first if a version has them. */
const WHERE_THERE = ['aliases', 'gates', 'deployed'];
const LISTS = ['aliases', 'deployed'];

/** The rows of the table of versions. */
export function versionSubject(trans: TranslationBundle): ITableSubject {
  return {
    name: MODEL,
    always: ALWAYS,
    kinds: ['version', 'model', 'deployment'],
    groups: false,
    colors: false,
    choose: chooseColumns,
    cell: (_, column, value) => versionCell(column, value, trans),
    words: {
      rows: trans.__('Model versions'),
      attributes: trans.__('Version'),
      example: 'metrics.accuracy > 0.9 AND aliases CONTAINS champion',
      selectAll: trans.__('Select all matching versions'),
      select: ({ id }) => {
        const { model, version } = versionOf(id ?? '/');
        return trans.__('Select %1 version %2', model, version);
      },
      count: versions => trans._n('%1 version', '%1 versions', versions),
      having: versions =>
        trans._n('%1 version has a value', '%1 versions have a value', versions)
    }
  };
}

/**
 * Choose model and version, where the version is used, its metrics (those of evaluations first: they are comparable),
 * its age and its run.
 */
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
  const metrics = used
    .filter(
      ({ column }) =>
        column.startsWith(METRICS) && !column.startsWith('metrics.system/')
    )
    .map(({ column, runs }) => ({
      column,
      runs,
      evaluated: isEvaluation(column),
      rank: rank(column)
    }))
    .sort(
      (a, b) =>
        Number(b.evaluated) - Number(a.evaluated) ||
        b.runs - a.runs ||
        a.rank - b.rank
    )
    .slice(0, MOST_METRICS);
  return [
    { name: MODEL, pinned: true },
    { name: 'version', pinned: true },
    ...[
      ...WHERE_THERE.filter(has),
      // Read when it is shown: before, no version has one.
      'format',
      ...metrics.map(({ column }) => column),
      'created',
      ...['run', 'description'].filter(has)
    ].map(name => ({ name }))
  ];
}

/** Whether a metric comes from an evaluation: metrics.NAME@DIGEST/METRIC. */
function isEvaluation(column: string): boolean {
  return /^metrics\.[^/]+@[^/]+\//.test(column);
}

/** Draw a value of a version; undefined: as that of a run. */
function versionCell(
  column: string,
  value: CellValue,
  trans: TranslationBundle
): React.ReactNode {
  if (value === null || value === undefined || value === '') {
    return undefined;
  }
  if (typeof value === 'number') {
    if (TIMES.includes(column)) {
      return <RelativeTime seconds={value} trans={trans} />;
    }
    return column === 'version' ? (
      String(value)
    ) : (
      <span title={String(value)}>{figure(value)}</span>
    );
  }
  if (column === 'gates') {
    return <StatusBadge {...gatesWord(value, trans)} />;
  }
  if (column === 'status') {
    return <StatusBadge {...readiness(value, trans)} />;
  }
  if (LISTS.includes(column)) {
    return <Chips texts={value.split(', ')} />;
  }
  return <span title={value}>{value}</span>;
}

/** Short texts side by side. */
export function Chips(props: { texts: readonly string[] }): React.ReactElement {
  return (
    <span
      className="gol-Chips gol-Versions-chips"
      title={props.texts.join(', ')}
    >
      {props.texts.map(text => (
        <span key={text} className="gol-Chip">
          <span className="gol-Chip-text">{text}</span>
        </span>
      ))}
    </span>
  );
}

/** The verdict of the gates as a badge. */
export function gatesWord(
  verdict: string,
  trans: TranslationBundle
): { tone: Tone; label: string } {
  switch (verdict) {
    case 'pass':
      return { tone: 'ok', label: trans.__('Pass') };
    case 'fail':
      return { tone: 'error', label: trans.__('Fail') };
    case 'not_enough_data':
      return { tone: 'warning', label: trans.__('Not enough data') };
    case 'cannot_be_checked':
      return { tone: 'warning', label: trans.__('Cannot be checked') };
    default:
      return { tone: 'idle', label: verdict };
  }
}

/** Whether MLflow has the files of a version. */
export function readiness(
  status: string,
  trans: TranslationBundle
): { tone: Tone; label: string; caption: string } {
  const caption = status;
  if (status.startsWith('FAILED')) {
    return { tone: 'error', label: trans.__('Failed'), caption };
  }
  return status === 'READY'
    ? { tone: 'ok', label: trans.__('Ready'), caption }
    : { tone: 'busy', label: trans.__('Pending'), caption };
}
