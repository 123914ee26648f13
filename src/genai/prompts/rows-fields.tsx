import * as React from 'react';

import { Field, ResourceView } from '../../core';
import { NumberInput } from '../../core/ui/form-dialog';

import type { PromptsModel } from './model';

const DATASET = 'dataset:';

/** The rows that a person chose. */
export interface IRowsChoice {
  /** What is sent; empty while nothing is chosen. */
  readonly data: string;
  readonly rows: number;
}

export function isWhole({ data, rows }: IRowsChoice): boolean {
  return data !== '' && rows >= 1;
}

/** Where rows come from, a file or a data set of MLflow, and how many of them are used. */
export function RowsFields(props: {
  model: PromptsModel;
  rows: number;
  onChange: (choice: IRowsChoice) => void;
}): React.ReactElement {
  const { model, rows, onChange } = props;
  const { sources, trans } = model;
  const [isFile, setIsFile] = React.useState(true);
  const [file, setFile] = React.useState('');
  const [dataSet, setDataSet] = React.useState('');
  const put = (fromFile: boolean, name: string, count: number = rows): void => {
    const given = name.trim();
    onChange({
      data: fromFile || !given ? given : DATASET + given,
      rows: count
    });
  };
  React.useEffect(() => {
    sources.dataSets.visible = !isFile;
    return () => {
      sources.dataSets.visible = false;
    };
  }, [sources, isFile]);
  return (
    <div className="gol-Trial-fields">
      <Field label={trans.__('Rows from')}>
        {control => (
          <select
            {...control}
            value={isFile ? 'file' : 'dataset'}
            onChange={({ target }) => {
              const toFile = target.value === 'file';
              setIsFile(toFile);
              put(toFile, toFile ? file : dataSet);
            }}
          >
            <option value="file">{trans.__('A file')}</option>
            <option value="dataset">{trans.__('A data set of MLflow')}</option>
          </select>
        )}
      </Field>
      {isFile ? (
        <Field
          label={trans.__('File with rows')}
          help={trans.__(
            'JSON lines, CSV or Parquet, below the folder of JupyterLab'
          )}
        >
          {control => (
            <input
              {...control}
              type="text"
              value={file}
              placeholder={trans.__('rows.jsonl')}
              spellCheck={false}
              onChange={({ target }) => {
                setFile(target.value);
                put(true, target.value);
              }}
            />
          )}
        </Field>
      ) : (
        <ResourceView
          resource={sources.dataSets}
          trans={trans}
          down={trans.__('The data sets cannot be listed.')}
          empty={
            <p className="gol-Note">
              {trans.__(
                'MLflow has no data sets. Make one of traces on the page Traces: Add to data set.'
              )}
            </p>
          }
        >
          {found => (
            <Field
              label={trans.__('Data set')}
              help={trans.__(
                'Columns: the inputs and expectations of its records'
              )}
            >
              {control => (
                <select
                  {...control}
                  value={dataSet}
                  onChange={({ target }) => {
                    setDataSet(target.value);
                    put(false, target.value);
                  }}
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
        </ResourceView>
      )}
      <Field label={trans.__('First rows')}>
        {control => (
          <NumberInput
            control={control}
            value={rows}
            step={1}
            max={10000}
            onChange={count => put(isFile, isFile ? file : dataSet, count)}
          />
        )}
      </Field>
    </div>
  );
}
