import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { components } from '../../api/generated';
import { Callout, Facts, formatBytes } from '../../core';

import '../../../style/registry/file-check.css';

export type IDeployCheck = components['schemas']['DeployCheck'];

/** What is known of files from an unknown origin: findings, origin, advice, and the files. */
export function FileCheck(props: {
  check: IDeployCheck;
  /** Default: the title of the check. */
  title?: string;
  trans: TranslationBundle;
}): React.ReactElement {
  const { check, title = check.title, trans } = props;
  const total = check.files.reduce((sum, file) => sum + file.size_bytes, 0);
  return (
    <Callout
      tone={check.verdict === 'refused' ? 'error' : 'warning'}
      title={title}
    >
      {check.findings.length === 1 ? (
        <p>{check.findings[0]}</p>
      ) : (
        <ul className="gol-Findings">
          {check.findings.map(finding => (
            <li key={finding}>{finding}</li>
          ))}
        </ul>
      )}
      <p>{check.reason}</p>
      <p>{check.advice}</p>
      <Facts
        className="gol-Facts gol-Contents"
        facts={[
          [trans.__('Flavors'), check.flavors.join(', ') || trans.__('none')],
          [
            trans.__('Loader'),
            check.loader || trans.__('none'),
            { caption: check.loader }
          ]
        ]}
      />
      <details>
        <summary>
          {trans._n(
            '%1 file, %2',
            '%1 files, %2',
            check.files.length,
            formatBytes(total)
          )}
        </summary>
        <ul className="gol-Files">
          {check.files.map(file => (
            <li key={file.path} title={`SHA-256 ${file.sha256}`}>
              <span>{file.path}</span>
              <span>{formatBytes(file.size_bytes)}</span>
            </li>
          ))}
        </ul>
      </details>
    </Callout>
  );
}
