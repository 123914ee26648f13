import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { MOST_COLUMNS, MOST_ROWS } from '../../comparison/previews';
import { PreviewTable } from '../../comparison/view/preview';
import type { IMediaEntry, MediaService } from '../service';

import { useFetched, useSeen } from './hooks';

/** Larger tables are for programs to read. */
const MOST_BYTES = 4_000_000;

/** A table of one step. */
export function MediaTable(props: MediaTable.IProps): React.ReactElement {
  const { runId, entry, label, service, trans } = props;
  const [ref, seen] = useSeen();
  const { path, size_bytes } = entry;
  const fetch = React.useCallback(
    async (signal: AbortSignal) => {
      const bytes =
        (size_bytes ?? 0) > MOST_BYTES
          ? null
          : await service.artifact(runId, path, MOST_BYTES, signal);
      const rows = bytes && rowsOf(new TextDecoder().decode(bytes));
      if (!rows) {
        throw new Error(
          trans.__('This file is not a table that can be shown.')
        );
      }
      return rows;
    },
    [service, runId, path, size_bytes, trans]
  );
  const loaded = useFetched(
    seen,
    fetch,
    trans.__('This table cannot be read.')
  );
  return (
    <div ref={ref} className="gol-Media-table">
      {loaded.state === 'failed' && (
        <p className="gol-Field-error">{loaded.why}</p>
      )}
      {loaded.state === 'ready' && (
        <PreviewTable rows={loaded.value} label={label} trans={trans} />
      )}
    </div>
  );
}

export namespace MediaTable {
  export interface IProps {
    runId: string;
    entry: IMediaEntry;
    /** A label for screen readers. */
    label: string;
    service: Pick<MediaService, 'artifact'>;
    trans: TranslationBundle;
  }
}

/**
 * Return the head and the first rows of a table that pandas wrote
 * (`orient="split"`); else null.
 */
export function rowsOf(text: string): string[][] | null {
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch {
    return null;
  }
  const { columns, data } = (found ?? {}) as Record<string, unknown>;
  if (!Array.isArray(columns) || !Array.isArray(data)) {
    return null;
  }
  return [columns, ...data.slice(0, MOST_ROWS)].map(row =>
    (Array.isArray(row) ? row : [row]).slice(0, MOST_COLUMNS).map(cellText)
  );
}

function cellText(value: unknown): string {
  if (value === null || value === undefined) {
    return '';
  }
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
