import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

/** From which version an alias moved to which; read aloud as a sentence. */
export function VersionChange(props: {
  /** Empty: no version; null: unknown. */
  from: string | null;
  /** Empty: no version. */
  to: string;
  trans: TranslationBundle;
}): React.ReactElement {
  const { from, to, trans } = props;
  const before = from === null ? '?' : shown(from, trans);
  return (
    <span className="gol-VersionChange">
      <span aria-hidden="true">
        <span className="gol-VersionChange-from">{before}</span>
        {' → '}
        <span className="gol-VersionChange-to">{shown(to, trans)}</span>
      </span>
      <span className="gol-VisuallyHidden">{spoken(from, to, trans)}</span>
    </span>
  );
}

function shown(version: string, trans: TranslationBundle): string {
  return version ? `v${version}` : trans.__('none');
}

function spoken(
  from: string | null,
  to: string,
  trans: TranslationBundle
): string {
  if (from === null) {
    return trans.__('to version %1, from an unknown version', to);
  }
  if (!from) {
    return trans.__('to version %1, from no version', to);
  }
  return to
    ? trans.__('from version %1 to version %2', from, to)
    : trans.__('from version %1 to no version', from);
}
