import { PathExt } from '@jupyterlab/coreutils';
import type { Contents } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { ActionButton, CopyButton, tellFailure } from '../../core';

export type ScorerContents = Pick<
  Contents.IManager,
  'newUntitled' | 'save' | 'rename'
>;

/** A scorer in YAML, to copy or to save. */
export function ScorerFile(props: {
  name: string;
  rubric: string;
  /** What the scorer is for. */
  note: string;
  contents: ScorerContents;
  /** More buttons. */
  children?: React.ReactNode;
  trans: TranslationBundle;
}): React.ReactElement {
  const { name, rubric, note, contents, children, trans } = props;
  const [path, setPath] = React.useState('');
  const save = async () => {
    try {
      setPath(await saved(contents, name, rubric));
    } catch (reason) {
      tellFailure(reason, trans);
    }
  };
  return (
    <div className="gol-Failures-scorer">
      <p>{note}</p>
      <pre tabIndex={0} aria-label={trans.__('Scorer of %1', name)}>
        {rubric}
      </pre>
      <span className="gol-Failures-actions">
        {children}
        <CopyButton
          text={rubric}
          label={trans.__('Copy the scorer of %1', name)}
          word={trans.__('Copy')}
          trans={trans}
        />
        <ActionButton
          label={trans.__('Save as file')}
          caption={trans.__('Write the scorer into a new file')}
          onClick={() => void save()}
        />
        <span role="status">
          {path && trans.__('The scorer is in the file %1.', path)}
        </span>
      </span>
    </div>
  );
}

/** Write a scorer into a new file of the Lab's first folder, and return its path. */
async function saved(
  contents: ScorerContents,
  name: string,
  rubric: string
): Promise<string> {
  const made = await contents.newUntitled({ type: 'file', ext: '.yaml' });
  await contents.save(made.path, {
    type: 'file',
    format: 'text',
    content: rubric
  });
  const plain = name
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, '-')
    .replace(/^-|-$/g, '');
  const wanted = PathExt.join(
    PathExt.dirname(made.path),
    `scorer-${plain || 'failure'}.yaml`
  );
  try {
    return (await contents.rename(made.path, wanted)).path;
  } catch {
    // The name is taken: the file keeps the name that Jupyter gave it.
    return made.path;
  }
}
