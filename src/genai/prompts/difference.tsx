import * as React from 'react';

import { ResourceView } from '../../core';
import { Resource } from '../../core/resource';

import type { IPromptDifference, IPromptVersion, PromptsModel } from './model';

/** Two versions of the chosen prompt, compared word by word. */
export function PromptComparison(props: {
  model: PromptsModel;
  before: string;
  after: string;
  onChoose: (before: string, after: string) => void;
}): React.ReactElement {
  const { model, before, after, onChoose } = props;
  const { trans, name } = model;
  const versions = model.versions.value ?? [];
  const resource = React.useMemo(
    () =>
      new Resource<IPromptDifference>({
        fetch: signal => model.compare(before, after, signal),
        trans
      }),
    [model, name, before, after, trans]
  );
  React.useEffect(() => {
    resource.visible = true;
    return () => resource.dispose();
  }, [resource]);
  return (
    <div className="gol-Prompt-comparison">
      <div className="gol-Prompt-choice">
        <VersionSelect
          label={trans.__('Before')}
          value={before}
          versions={versions}
          onChange={version => onChoose(version, after)}
        />
        <VersionSelect
          label={trans.__('After')}
          value={after}
          versions={versions}
          onChange={version => onChoose(before, version)}
        />
      </div>
      <ResourceView
        resource={resource}
        trans={trans}
        down={trans.__('The versions cannot be compared.')}
        empty={null}
      >
        {found =>
          found.same ? (
            <p role="status">
              {trans.__(
                'Versions %1 and %2 have the same content.',
                found.before.version,
                found.after.version
              )}
            </p>
          ) : (
            <ChangedParts parts={found.parts} />
          )
        }
      </ResourceView>
    </div>
  );
}

/** The parts of two texts in one text: what is gone is struck through, what came is underlined. */
export function ChangedParts(props: {
  parts: IPromptDifference['parts'];
}): React.ReactElement {
  return (
    <>
      {props.parts.map(({ part, pieces }) => (
        <section key={part} aria-label={part}>
          <h4>{part}</h4>
          <p className="gol-WordDiff">
            {pieces.map(({ change, text }, at) =>
              change === 'added' ? (
                <ins key={at}>{text}</ins>
              ) : change === 'removed' ? (
                <del key={at}>{text}</del>
              ) : (
                <span key={at}>{text}</span>
              )
            )}
          </p>
        </section>
      ))}
    </>
  );
}

/** A choice among versions; each has its aliases behind it. */
export function VersionSelect(props: {
  label: string;
  value: string;
  versions: readonly IPromptVersion[];
  onChange: (version: string) => void;
}): React.ReactElement {
  const { label, value, versions, onChange } = props;
  return (
    <label className="gol-Prompt-select">
      {label}
      <select
        className="jp-mod-styled"
        value={value}
        onChange={event => onChange(event.target.value)}
      >
        {versions.map(({ version, aliases }) => (
          <option key={version} value={version}>
            {[`v${version}`, ...aliases].join(' · ')}
          </option>
        ))}
      </select>
    </label>
  );
}
