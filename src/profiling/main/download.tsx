import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { fileName, save } from '../../core/charts/files';
import { ActionButton } from '../../core';
import { asCsv } from '../../experiments/table/copies';

export type CellOf = string | number | null;

/** Format a table as CSV (RFC 4180). */
export function csvOf(
  columns: readonly string[],
  rows: readonly (readonly CellOf[])[]
): string {
  return asCsv({
    columns: columns.map((name, place) => ({
      name,
      kind: typeof rows[0]?.[place] === 'number' ? 'number' : 'text'
    })),
    rows: rows.map(row => [...row])
  });
}

/** A button that saves a table as a file. */
export function DownloadButton(props: {
  /** Name of the file, without its extension. */
  name: string;
  columns: readonly string[];
  rows: () => readonly (readonly CellOf[])[];
  trans: TranslationBundle;
}): React.ReactElement {
  const { name, columns, rows, trans } = props;
  return (
    <ActionButton
      label={trans.__('CSV')}
      caption={trans.__('Save the table as CSV')}
      onClick={() =>
        save(
          new Blob([csvOf(columns, rows())], { type: 'text/csv' }),
          `${fileName(name)}.csv`
        )
      }
    />
  );
}
