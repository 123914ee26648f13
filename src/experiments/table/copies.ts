/** Copies runs as text for other programs. */
import { TIMES } from './column-messages';
import type { CellValue } from './rows';

/** Columns, and rows with one value for each. */
export interface IFrame {
  readonly columns: readonly {
    readonly name: string;
    readonly kind: 'number' | 'text';
  }[];
  readonly rows: readonly (readonly CellValue[])[];
}

/** Comma-separated values by RFC 4180; times in ISO 8601, UTC. */
export function asCsv(frame: IFrame): string {
  const lines = [
    frame.columns.map(({ name }) => quoted(name)),
    ...frame.rows.map(row =>
      row.map((value, place) => quoted(plain(value, frame.columns[place].name)))
    )
  ];
  return lines.map(line => line.join(',')).join('\r\n') + '\r\n';
}

/**
 * Return Python code that makes a pandas DataFrame of the runs without
 * fetching.
 */
export function asDataFrame(frame: IFrame): string {
  const rows = frame.rows.map(row => {
    const values = row.map((value, place) =>
      literal(value, frame.columns[place].kind)
    );
    return `        (${values.map(each => `${each}, `).join('')}),`;
  });
  const names = frame.columns.map(({ name }) => name);
  const times = names
    .filter(name => TIMES.includes(name))
    .map(
      name =>
        `runs[${text(name)}] = pd.to_datetime(runs[${text(name)}], unit="s", utc=True)`
    );
  return [
    'import pandas as pd',
    '',
    'runs = pd.DataFrame(',
    '    [',
    ...rows,
    '    ],',
    `    columns=[${names.map(text).join(', ')}],`,
    ')',
    ...times,
    'runs',
    ''
  ].join('\n');
}

function plain(value: CellValue, column: string): string {
  if (value === null || value === undefined) {
    return '';
  }
  return typeof value === 'number' && TIMES.includes(column)
    ? new Date(value * 1000).toISOString()
    : String(value);
}

function quoted(field: string): string {
  return /[",\r\n]/.test(field) ? `"${field.replace(/"/g, '""')}"` : field;
}

function literal(value: CellValue, kind: 'number' | 'text'): string {
  if (value === null || value === undefined) {
    return 'None';
  }
  if (typeof value === 'number') {
    return String(value);
  }
  // Numbers that JSON lacks come as text: "NaN", "Infinity", "-Infinity".
  return kind === 'number' ? `float(${text(value)})` : text(value);
}

/**
 * JSON's strings are also Python's, except lone surrogates, which neither can
 * print.
 */
function text(value: string): string {
  return JSON.stringify(value);
}
