import type { TranslationBundle } from '@jupyterlab/translation';
import type { LabIcon } from '@jupyterlab/ui-components';
import { notTrustedIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { Tone } from '../../core';
import {
  Facts,
  Resource,
  ResourceView,
  StatusBadge,
  formatBytes
} from '../../core';

import { describeParameters } from '../facts';
import type {
  IFileFacts,
  IModelFacts,
  IModelField,
  IModelVersion,
  ModelsService
} from '../service';

const SHOWN_FIELDS = 8;

const TONES: Record<IModelFacts['verdict'], Tone> = {
  data: 'ok',
  unknown: 'warning',
  code: 'warning',
  refused: 'error'
};

/** The icon of a warning about trust; undefined for the icon of the tone. */
function iconOf(verdict: IModelFacts['verdict']): LabIcon | undefined {
  return TONES[verdict] === 'warning' ? notTrustedIcon : undefined;
}

/** What the files of a version say, read when this is first shown. */
export function VersionFacts(props: {
  version: Pick<IModelVersion, 'name' | 'version'>;
  service: ModelsService;
  trans: TranslationBundle;
}): React.ReactElement {
  const { service, trans } = props;
  const { name, version } = props.version;
  const resource = React.useMemo(
    () =>
      new Resource<IModelFacts>({
        fetch: signal => service.facts(name, version, signal),
        trans
      }),
    [service, name, version]
  );
  React.useEffect(() => {
    void resource.refresh();
    return () => resource.dispose();
  }, [resource]);
  return (
    <ResourceView
      resource={resource}
      trans={trans}
      down={trans.__('The files of this version cannot be read.')}
      late={trans.__('MLflow is slow: waiting for the files of this version.')}
      empty={null}
    >
      {facts => <FactsView facts={facts} trans={trans} />}
    </ResourceView>
  );
}

/** Verdict, header and files of a version. */
export function FactsView(props: {
  facts: IModelFacts;
  trans: TranslationBundle;
}): React.ReactElement {
  const { facts, trans } = props;
  const { signature } = facts;
  return (
    <div className="gol-VersionFacts">
      <p className="gol-VersionFacts-verdict">
        <StatusBadge
          tone={TONES[facts.verdict]}
          icon={iconOf(facts.verdict)}
          label={facts.headline}
          caption={trans.__(
            'Judged by the content of the files. Nothing is loaded to look at them.'
          )}
        />
      </p>
      {facts.advice && <p className="gol-Note">{facts.advice}</p>}
      <Facts
        facts={[
          fact(trans.__('Format'), facts.formats.join(', ')),
          fact(
            trans.__('Parameters'),
            describeParameters(facts, trans),
            trans.__(
              'Values of all weights by their type, from the headers of the files'
            )
          ),
          fact(trans.__('Size'), formatBytes(facts.size_bytes)),
          fact(trans.__('Architecture'), facts.architecture),
          fact(
            trans.__('Context'),
            facts.context_length === null
              ? ''
              : trans.__('%1 tokens', facts.context_length.toLocaleString())
          ),
          fact(trans.__('Base model'), facts.base_model),
          fact(trans.__('Licence'), facts.licence),
          fact(trans.__('Inputs'), describeFields(signature?.inputs, trans)),
          fact(trans.__('Outputs'), describeFields(signature?.outputs, trans)),
          fact(trans.__('Settings'), describeFields(signature?.params, trans))
        ]}
      />
      {facts.problems.length > 0 && (
        <ul className="gol-VersionFacts-problems">
          {facts.problems.map(problem => (
            <li key={problem}>{problem}</li>
          ))}
        </ul>
      )}
      {facts.input_example && (
        <details>
          <summary>{trans.__('Input example')}</summary>
          <pre tabIndex={0}>{facts.input_example}</pre>
        </details>
      )}
      {facts.requirements.length > 0 && (
        <details>
          <summary>
            {trans._n(
              '%1 requirement',
              '%1 requirements',
              facts.requirements.length
            )}
          </summary>
          <pre tabIndex={0}>{facts.requirements.join('\n')}</pre>
        </details>
      )}
      <Files facts={facts} trans={trans} />
    </div>
  );
}

function Files(props: {
  facts: IModelFacts;
  trans: TranslationBundle;
}): React.ReactElement {
  const { facts, trans } = props;
  const others = facts.file_count - facts.files.length;
  return (
    <details open={facts.verdict !== 'data'}>
      <summary>{trans._n('%1 file', '%1 files', facts.file_count)}</summary>
      <ul className="gol-VersionFacts-files">
        {facts.files.map(file => (
          <li key={file.path}>
            <span className="gol-VersionFacts-path">{file.path}</span>
            <span className="gol-VersionFacts-size">
              {formatBytes(file.size_bytes)}
            </span>
            <span className="gol-VersionFacts-reason">
              <StatusBadge
                tone={TONES[file.verdict]}
                icon={iconOf(file.verdict)}
                label={verdictLabel(file, trans)}
              />
              {file.reason && <span>{file.reason}</span>}
            </span>
          </li>
        ))}
      </ul>
      {others > 0 && (
        <p className="gol-Note">
          {trans._n('%1 more file', '%1 more files', others)}
        </p>
      )}
      {!facts.complete && (
        <p className="gol-Note">
          {trans.__(
            'Some files were not read: they are on another machine, or there are too many.'
          )}
        </p>
      )}
    </details>
  );
}

function verdictLabel(file: IFileFacts, trans: TranslationBundle): string {
  switch (file.verdict) {
    case 'data':
      return trans.__('%1, data only', file.format);
    case 'code':
      return trans.__('%1, runs code when loaded', file.format);
    case 'refused':
      return trans.__('%1, refused', file.format);
    default:
      return trans.__('%1, not known to be data', file.format);
  }
}

/** A row of the list; null, so that it is left out, without a value. */
function fact(
  name: string,
  value: string,
  tip?: string
): readonly [string, React.ReactNode] | null {
  return value
    ? [
        name,
        <span key="value" title={tip ?? value}>
          {value}
        </span>
      ]
    : null;
}

function describeFields(
  fields: readonly IModelField[] | undefined,
  trans: TranslationBundle
): string {
  const all = fields ?? [];
  const shown = all
    .slice(0, SHOWN_FIELDS)
    .map(({ name, type }) => (name ? `${name}: ${type}` : type))
    .join(', ');
  return all.length > SHOWN_FIELDS
    ? trans.__('%1 and %2 more', shown, all.length - SHOWN_FIELDS)
    : shown;
}
