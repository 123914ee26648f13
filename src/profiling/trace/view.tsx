import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { ApiError } from '../../core';
import { ActionButton, Meter, useResource } from '../../core';

import type { TraceFetch } from './model';

import '../../../style/profiling/trace.css';

/** The target that has the trace, and the progress of its transfer. */
export function FetchTrace(props: FetchTrace.IProps): React.ReactElement {
  const { make, visible, words, trans } = props;
  const [fetch, setFetch] = React.useState<TraceFetch | null>(null);
  React.useEffect(() => {
    const made = make();
    setFetch(made);
    return () => made.dispose();
  }, [props.profileId]);
  React.useEffect(() => {
    if (fetch) {
      fetch.state.visible = visible;
    }
  }, [fetch, visible]);
  return (
    <div className="gol-Trace" role="group" aria-label={trans.__('The trace')}>
      {fetch && <Progress fetch={fetch} words={words} trans={trans} />}
    </div>
  );
}

export namespace FetchTrace {
  export interface IProps {
    profileId: string;
    /** Called once per profile; the component disposes the result. */
    make: () => TraceFetch;
    /** Whether it is visible; nothing is requested otherwise. */
    visible: boolean;
    /** The text on the trace's place. */
    words: string;
    trans: TranslationBundle;
  }
}

function Progress(props: {
  fetch: TraceFetch;
  words: string;
  trans: TranslationBundle;
}): React.ReactElement {
  const { fetch, words, trans } = props;
  const { value } = useResource(fetch.state);
  const [error, setError] = React.useState<ApiError | null>(null);
  const task = value?.task;
  const act = (work: () => Promise<ApiError | null>) => {
    setError(null);
    void work().then(setError);
  };
  const refused = error
    ? `${error.message} ${error.hint}`
    : task?.state === 'failed'
      ? `${task.message} ${task.hint}`
      : '';
  if (task?.state === 'running') {
    return (
      <>
        <Meter
          label={trans.__('Fetching the trace')}
          value={task.progress ?? 0}
          max={1}
          text={task.message}
          caption={task.title}
        />
        <ActionButton
          label={trans.__('Cancel')}
          caption={trans.__(
            'Stop the transfer and delete the part that arrived'
          )}
          onClick={() => act(() => fetch.cancel())}
        />
      </>
    );
  }
  return (
    <>
      <span>{words}</span>
      <ActionButton
        label={trans.__('Fetch the trace')}
        caption={trans.__('Copy the trace to the Lab')}
        onClick={() => act(() => fetch.start())}
      />
      {refused && (
        <span className="gol-Trace-refused" role="alert">
          {refused.trim()}
        </span>
      )}
    </>
  );
}
