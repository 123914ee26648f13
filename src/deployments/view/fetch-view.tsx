import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { ActionButton, Callout, formatBytes, useResource } from '../../core';
import { Progress } from '../../core/ui/progress';

import type { Fetching } from '../fetching';

/** Says how much must be fetched, and fetches it with its progress. */
export function FetchView(props: {
  fetching: Fetching;
  trans: TranslationBundle;
}): React.ReactElement {
  const { fetching, trans } = props;
  const { value: task } = useResource(fetching.task);
  React.useEffect(() => {
    fetching.task.visible = true;
    return () => {
      fetching.task.visible = false;
    };
  }, [fetching]);
  const running = task?.state === 'running';
  const failure =
    fetching.error?.message || (task?.state === 'failed' && task.message);
  return (
    <div className="gol-Deploy-fetch" aria-live="polite">
      <p className="gol-Note">{fetching.message}</p>
      {failure && <Callout tone="error" title={failure} />}
      {running ? (
        <div className="gol-Actions">
          <Progress
            label={trans.__('Fetched')}
            done={task.progress ?? 0}
            of={1}
            text={task.message}
          />
          <ActionButton
            label={trans.__('Cancel')}
            onClick={() => void fetching.cancel()}
          />
        </div>
      ) : (
        <ActionButton
          label={trans.__('Fetch %1', formatBytes(fetching.bytes))}
          onClick={() => void fetching.start()}
        />
      )}
    </div>
  );
}
