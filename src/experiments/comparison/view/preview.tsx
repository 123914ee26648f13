import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { DataTable, formatBytes } from '../../../core';
import {
  MOST_BYTES,
  MOST_ROWS,
  confined,
  imageType,
  previewKind,
  tableRows
} from '../previews';
import type { ComparisonService } from '../service';

import '../../../../style/experiments/preview.css';

type Loaded =
  | { readonly state: 'loading' | 'large' }
  | { readonly state: 'failed'; readonly why: string }
  | { readonly state: 'ready'; readonly bytes: Uint8Array<ArrayBuffer> };

/** Shows an artifact in place. Nothing in it runs or reaches the network. */
export function Preview(props: Preview.IProps): React.ReactElement {
  const { path, label, trans } = props;
  const kind = previewKind(path) ?? 'text';
  const most = MOST_BYTES[kind];
  const loaded = useBytes(props, most);
  switch (loaded.state) {
    case 'loading':
      return <p role="status">{trans.__('Loading…')}</p>;
    case 'large':
      return (
        <p className="gol-Comparison-quiet">
          {trans.__(
            'This file is larger than %1. Download it to view it.',
            formatBytes(most)
          )}
        </p>
      );
    case 'failed':
      return <p className="gol-Field-error">{loaded.why}</p>;
  }
  if (kind === 'image') {
    return <Picture bytes={loaded.bytes} path={path} label={label} />;
  }
  const text = new TextDecoder().decode(loaded.bytes);
  switch (kind) {
    case 'html':
      return (
        <>
          <iframe
            className="gol-Preview-page"
            title={label}
            sandbox=""
            srcDoc={confined(text)}
          />
          <p className="gol-Comparison-quiet">
            {trans.__('Scripts in this page do not run here.')}
          </p>
        </>
      );
    case 'table':
      return (
        <PreviewTable
          rows={tableRows(path, text)}
          label={label}
          trans={trans}
        />
      );
    case 'text':
      return (
        <pre className="gol-Preview-text" tabIndex={0} aria-label={label}>
          {text}
        </pre>
      );
  }
}

export namespace Preview {
  export interface IProps {
    path: string;
    runId: string;
    sizeBytes: number | null;
    /** A label for screen readers. */
    label: string;
    service: Pick<ComparisonService, 'artifact'>;
    trans: TranslationBundle;
  }
}

function useBytes(props: Preview.IProps, most: number): Loaded {
  const { service, runId, path, sizeBytes, trans } = props;
  const [loaded, setLoaded] = React.useState<Loaded>({ state: 'loading' });
  React.useEffect(() => {
    if (sizeBytes !== null && sizeBytes > most) {
      setLoaded({ state: 'large' });
      return;
    }
    const abort = new AbortController();
    setLoaded({ state: 'loading' });
    service.artifact(runId, path, most, abort.signal).then(
      bytes => {
        if (!abort.signal.aborted) {
          setLoaded(bytes ? { state: 'ready', bytes } : { state: 'large' });
        }
      },
      (reason: unknown) => {
        if (!abort.signal.aborted) {
          const why = reason instanceof Error ? reason.message : '';
          setLoaded({
            state: 'failed',
            why: why || trans.__('This file cannot be read.')
          });
        }
      }
    );
    return () => abort.abort();
  }, [service, runId, path, sizeBytes, most, trans]);
  return loaded;
}

function Picture(props: {
  bytes: Uint8Array<ArrayBuffer>;
  path: string;
  label: string;
}): React.ReactElement | null {
  const { bytes, path, label } = props;
  const [url, setUrl] = React.useState<string | null>(null);
  React.useEffect(() => {
    const made = URL.createObjectURL(
      new Blob([bytes], { type: imageType(path) })
    );
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [bytes, path]);
  return url ? (
    <img className="gol-Preview-image" src={url} alt={label} />
  ) : null;
}

/** Rows below their head, in a frame that scrolls. */
export function PreviewTable(props: {
  rows: string[][];
  label: string;
  trans: TranslationBundle;
}): React.ReactElement {
  const { rows, label, trans } = props;
  const [head = [], ...body] = rows;
  return (
    <div
      className="gol-Preview-table"
      role="group"
      aria-label={label}
      tabIndex={0}
    >
      <DataTable
        caption={label}
        className="gol-Preview-cells"
        rows={body}
        rowKey={(_, index) => String(index)}
        columns={head.map((title, column) => ({
          id: String(column),
          title,
          cell: (row: string[]) => row[column]
        }))}
      />
      {body.length === MOST_ROWS && (
        <p className="gol-Comparison-quiet">
          {trans.__('Only the first %1 rows are shown.', MOST_ROWS)}
        </p>
      )}
    </div>
  );
}
