import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import {
  ActionButton,
  ApiError,
  ResourceView,
  StatusBadge,
  useSignalled
} from '../../../core';
import type { ExperimentsModel } from '../../model';
import type { IRunActions } from '../../view/actions';
import { RunDetail } from '../../view/run-detail';
import { runName, statusWord } from '../../view/messages';
import { NOTE } from '../column-messages';
import type { RunTableModel } from '../model';

import { Drawer } from './drawer';

const NOTE_TAG = NOTE.slice('tags.'.length);

/** All details of a run: its note, curves, figures, models and files. */
export function RunDrawer(props: RunDrawer.IProps): React.ReactElement {
  const { model, runs, runId, actions, trans } = props;
  React.useEffect(() => {
    runs.open(runId);
    return () => runs.open(null);
  }, [runs, runId]);
  const opened = useSignalled(runs.openedChanged, () => runs.opened);
  const resource = opened === runId ? runs.detail : null;
  const known = resource?.value?.run;
  const name = props.name || (known ? runName(known) : runId.slice(0, 8));
  return (
    <Drawer title={name} onClose={props.onClose} trans={trans}>
      {resource && (
        <ResourceView
          resource={resource}
          trans={trans}
          down={trans.__('The run cannot be read.')}
          keepMounted
          empty={<></>}
        >
          {({ run }) => (
            <div className="gol-Run-detail gol-RunTable-detail">
              <StatusBadge {...statusWord(run.status, trans)} />
              <Note
                key={runId}
                model={model}
                runId={runId}
                set={props.setNote}
                trans={trans}
              />
              <RunDetail
                run={run}
                model={runs}
                actions={actions}
                trans={trans}
              />
            </div>
          )}
        </ResourceView>
      )}
    </Drawer>
  );
}

export namespace RunDrawer {
  export interface IProps {
    model: RunTableModel;
    /** Shows the one run. */
    runs: ExperimentsModel;
    runId: string;
    /** The run's name, if the table knows it. */
    name: string;
    actions: IRunActions;
    setNote: (runId: string, tags: Record<string, string>) => Promise<void>;
    onClose: () => void;
    trans: TranslationBundle;
  }
}

/** MLflow's note of the run, to read and to change. */
function Note(props: {
  model: RunTableModel;
  runId: string;
  set: RunDrawer.IProps['setNote'];
  trans: TranslationBundle;
}): React.ReactElement {
  const { model, runId, trans } = props;
  const [kept, setKept] = React.useState<string | null>(null);
  const [draft, setDraft] = React.useState('');
  const [busy, setBusy] = React.useState(false);
  const [error, setError] = React.useState<ApiError | null>(null);
  const id = React.useId();
  React.useEffect(() => {
    let ended = false;
    model
      .value(runId, NOTE)
      .then(text => {
        if (!ended) {
          setKept(text);
          setDraft(text);
        }
      })
      .catch(reason => !ended && setError(ApiError.from(reason, trans)));
    return () => {
      ended = true;
    };
  }, [model, runId, trans]);
  const save = async () => {
    setBusy(true);
    setError(null);
    try {
      await props.set(runId, { [NOTE_TAG]: draft });
      setKept(draft);
      model.refresh();
    } catch (reason) {
      setError(ApiError.from(reason, trans));
    } finally {
      setBusy(false);
    }
  };
  return (
    <div className="gol-RunTable-note">
      <label htmlFor={id}>{trans.__('Note')}</label>
      <textarea
        id={id}
        className="gol-RunTable-input"
        rows={Math.min(8, Math.max(2, draft.split('\n').length))}
        value={draft}
        disabled={kept === null}
        onChange={event => setDraft(event.target.value)}
        onKeyDown={event => {
          if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
            event.preventDefault();
            void save();
          }
        }}
      />
      {error && (
        <p className="gol-Field-error" role="alert">
          {error.message} {error.hint}
        </p>
      )}
      {kept !== null && draft !== kept && (
        <div className="gol-Actions">
          <ActionButton
            label={busy ? trans.__('Saving…') : trans.__('Save note')}
            caption={trans.__('Save the note (Ctrl Enter)')}
            primary
            disabled={busy}
            onClick={() => void save()}
          />
          <ActionButton
            label={trans.__('Discard')}
            disabled={busy}
            onClick={() => setDraft(kept)}
          />
        </div>
      )}
    </div>
  );
}
