import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { Field } from '../../core';
import { NumberInput } from '../../core/ui/form-dialog';

import { SourceView } from './source-view';
import type { PromptSources } from './sources';

/** Where rows are, and what their names begin with. */
const PREFIX = { file: '', dataset: 'dataset:', traces: 'traces:' } as const;
type Place = keyof typeof PREFIX;

/** The rows that a person chose. */
export interface IRowsChoice {
  /** What is sent; empty while nothing is chosen. */
  readonly data: string;
  readonly rows: number;
}

export function isWhole({ data, rows }: IRowsChoice): boolean {
  return data !== '' && rows >= 1;
}

/** Where rows come from: a file, a data set of MLflow or traces. With `rows`, also how many of them are used. */
export function RowsFields(props: {
  sources: PromptSources;
  rows?: number;
  onChange: (choice: IRowsChoice) => void;
  /** Files that a person may mean. */
  files?: readonly string[];
  /** The problem of the rows. */
  error?: string;
  trans: TranslationBundle;
}): React.ReactElement {
  const { sources, rows, onChange, files = [], error, trans } = props;
  const list = React.useId();
  const [place, setPlace] = React.useState<Place>('file');
  const [names, setNames] = React.useState({
    file: '',
    dataset: '',
    traces: ''
  });
  const put = (where: Place, name: string, count = rows ?? 1): void => {
    const given = name.trim();
    // An empty query is that of all traces.
    const data = given || where === 'traces' ? PREFIX[where] + given : '';
    onChange({ data, rows: count });
  };
  const name = (text: string): void => {
    setNames({ ...names, [place]: text });
    put(place, text);
  };
  React.useEffect(() => {
    sources.dataSets.visible = place === 'dataset';
    return () => {
      sources.dataSets.visible = false;
    };
  }, [sources, place]);
  return (
    <div className="gol-Trial-fields">
      <Field label={trans.__('Rows from')}>
        {control => (
          <select
            {...control}
            value={place}
            onChange={({ target }) => {
              const where = target.value as Place;
              setPlace(where);
              put(where, names[where]);
            }}
          >
            <option value="file">{trans.__('A file')}</option>
            <option value="dataset">{trans.__('A data set of MLflow')}</option>
            <option value="traces">{trans.__('Traces of MLflow')}</option>
          </select>
        )}
      </Field>
      {place === 'dataset' ? (
        <SourceView
          resource={sources.dataSets}
          trans={trans}
          down={trans.__('The data sets cannot be listed.')}
          none={trans.__(
            'MLflow has no data sets. Make one of traces on the page Traces: Add to data set.'
          )}
        >
          {found => (
            <Field
              label={trans.__('Data set')}
              help={trans.__(
                'Columns: the inputs and expectations of its records'
              )}
              error={error}
            >
              {control => (
                <select
                  {...control}
                  value={names.dataset}
                  onChange={({ target }) => name(target.value)}
                >
                  <option value="">{trans.__('Choose a data set')}</option>
                  {found.map(each => (
                    <option key={each.name} value={each.name}>
                      {each.rows === null
                        ? each.name
                        : trans._n(
                            '%2 · %1 row',
                            '%2 · %1 rows',
                            each.rows,
                            each.name
                          )}
                    </option>
                  ))}
                </select>
              )}
            </Field>
          )}
        </SourceView>
      ) : (
        <Field
          key={place}
          label={
            place === 'file'
              ? trans.__('File with rows')
              : trans.__('Query of traces')
          }
          help={
            place === 'file'
              ? trans.__(
                  'JSON lines, CSV or Parquet, below the folder of JupyterLab'
                )
              : trans.__(
                  'As on the page Traces; empty: all. Columns: inputs, expectations and response'
                )
          }
          error={error}
        >
          {control => (
            <input
              {...control}
              type="text"
              value={names[place]}
              placeholder={
                place === 'file'
                  ? trans.__('rows.jsonl')
                  : trans.__('name = "answer"')
              }
              list={place === 'file' ? list : undefined}
              autoComplete="off"
              spellCheck={false}
              onChange={({ target }) => name(target.value)}
            />
          )}
        </Field>
      )}
      <datalist id={list}>
        {files.map(file => (
          <option key={file} value={file} />
        ))}
      </datalist>
      {rows !== undefined && (
        <Field label={trans.__('First rows')}>
          {control => (
            <NumberInput
              control={control}
              value={rows}
              step={1}
              max={10000}
              onChange={count => put(place, names[place], count)}
            />
          )}
        </Field>
      )}
    </div>
  );
}
