import type { TranslationBundle } from '@jupyterlab/translation';
import { addIcon, closeIcon, deleteIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { IconButton } from '../../core';
import type { ApiError } from '../../core';
import { useResource } from '../../core/ui/hooks';
import type { ExperimentActions } from '../experiment-actions';
import { DEFAULT_EXPERIMENT } from '../experiment-actions';
import type { ExperimentsModel } from '../model';
import type { IRunQuery } from '../service';

/** The experiment, and the filter of its runs. */
export function Toolbar(props: Toolbar.IProps): React.ReactElement {
  const { model, manage, query, error, trans } = props;
  const { value: experiments = [] } = useResource(model.experiments);
  const [draft, setDraft] = React.useState(query.filter);
  const errorId = React.useId();
  React.useEffect(() => setDraft(query.filter), [query.filter]);
  const apply = (filter: string) => {
    void model.list.setQuery({ ...query, filter: filter.trim() });
  };
  const chosen = experiments.find(({ id }) => id === query.experiment);
  return (
    <div className="gol-Experiments-toolbar">
      <div className="gol-Experiments-chosen">
        <select
          className="gol-Experiments-picker"
          aria-label={trans.__('Experiment')}
          value={query.experiment}
          onChange={event => {
            const experiment = event.target.value;
            void model.list.setQuery({ ...query, experiment });
          }}
        >
          <option value="">{trans.__('All experiments')}</option>
          {query.experiment && !chosen && (
            <option value={query.experiment}>{query.experiment}</option>
          )}
          {experiments.map(({ id, name }) => (
            <option key={id} value={id}>
              {name}
            </option>
          ))}
        </select>
        {chosen && chosen.id !== DEFAULT_EXPERIMENT && (
          <IconButton
            icon={deleteIcon}
            label={trans.__('Delete the experiment %1', chosen.name)}
            onClick={() => void manage.delete(chosen)}
          />
        )}
        <IconButton
          icon={addIcon}
          label={trans.__('Add an experiment…')}
          onClick={() => void manage.add()}
        />
      </div>
      <div className="gol-Experiments-filter">
        <input
          type="text"
          spellCheck={false}
          autoComplete="off"
          aria-label={trans.__('Filter runs')}
          aria-invalid={error !== undefined}
          aria-describedby={error ? errorId : undefined}
          placeholder={trans.__('Filter: %1', 'metrics.loss < 0.2')}
          title={trans.__(
            "An MLflow filter, applied with Enter: metrics.accuracy > 0.9 and params.lr = '0.01'"
          )}
          value={draft}
          onChange={event => setDraft(event.target.value)}
          onBlur={() => apply(draft)}
          onKeyDown={event => {
            if (event.key === 'Enter') {
              apply(draft);
            } else if (event.key === 'Escape' && draft) {
              event.stopPropagation();
              setDraft('');
              apply('');
            }
          }}
        />
        {draft && (
          <IconButton
            icon={closeIcon}
            label={trans.__('Clear the filter')}
            onClick={() => {
              setDraft('');
              apply('');
            }}
          />
        )}
      </div>
      {error && (
        <p className="gol-Field-error" id={errorId} role="alert">
          {error.message} {error.hint}
        </p>
      )}
    </div>
  );
}

export namespace Toolbar {
  export interface IProps {
    model: ExperimentsModel;
    manage: Pick<ExperimentActions, 'add' | 'delete'>;
    query: IRunQuery;
    /** The filter's error. */
    error: ApiError | undefined;
    trans: TranslationBundle;
  }
}
