import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { formatBytes } from '../../../core';
import { previewKind } from '../previews';
import type {
  ComparisonService,
  IArtifactEntry,
  IRunComparison
} from '../service';

import { Preview } from './preview';
import { DifferingSection } from './section';
import { letter } from './messages';

/** Files by path, each with a harmless preview. */
export function ArtifactSection(
  props: ArtifactSection.IProps
): React.ReactElement {
  const { comparison, all, service, trans } = props;
  const [opened, setOpened] = React.useState<string | null>(null);
  return (
    <DifferingSection
      comparison={comparison}
      title={trans.__('Artifacts')}
      first={trans.__('Path')}
      rows={comparison.artifacts}
      all={all}
      // Files of equal size may differ.
      mayDiffer={({ columns }) =>
        columns.some(({ sameness }) => sameness === 'same_size')
      }
      more={comparison.more?.artifacts}
      nameOf={({ path }) => path}
      head={({ path }) =>
        previewKind(path) ? (
          <button
            type="button"
            className="gol-LinkButton"
            aria-expanded={opened === path}
            onClick={() => setOpened(opened === path ? null : path)}
          >
            {path}
          </button>
        ) : (
          path
        )
      }
      cell={({ path, columns }, column) => {
        const { run_id, size_bytes } = columns[column];
        return (
          <>
            <Entry
              entry={columns[column]}
              path={path}
              isBaseline={column === comparison.baseline}
              service={service}
              trans={trans}
            />
            {opened === path && run_id && (
              <Preview
                label={trans.__('%1 of %2', path, letter(column))}
                path={path}
                runId={run_id}
                sizeBytes={size_bytes ?? null}
                service={service}
                trans={trans}
              />
            )}
          </>
        );
      }}
      trans={trans}
    />
  );
}

export namespace ArtifactSection {
  export interface IProps {
    comparison: IRunComparison;
    /** Show equal files, too. */
    all: boolean;
    service: Pick<ComparisonService, 'artifact' | 'artifactUrl'>;
    trans: TranslationBundle;
  }
}

function Entry(props: {
  entry: IArtifactEntry;
  path: string;
  isBaseline: boolean;
  service: Pick<ComparisonService, 'artifactUrl'>;
  trans: TranslationBundle;
}): React.ReactElement {
  const { entry, path, isBaseline, service, trans } = props;
  if (!entry.run_id) {
    return <>–</>;
  }
  const words = {
    same: trans.__('same'),
    differs: trans.__('differs'),
    same_size: trans.__('same size, content not compared'),
    missing: ''
  };
  return (
    <span className="gol-Comparison-figure">
      <a
        href={service.artifactUrl(entry.run_id, path)}
        download=""
        title={trans.__('Download %1', path)}
      >
        {typeof entry.size_bytes === 'number'
          ? formatBytes(entry.size_bytes)
          : trans.__('Download')}
      </a>
      {!isBaseline && (
        <span className="gol-Comparison-count">
          {words[entry.sameness ?? 'missing']}
        </span>
      )}
    </span>
  );
}
