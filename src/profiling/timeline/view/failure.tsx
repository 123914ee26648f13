import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { ApiError } from '../../../core';
import { ActionButton, Callout } from '../../../core';
import type { TimelineModel } from '../model';

/** What happened to the timeline, and what can be done: again, or the trace itself in Perfetto. */
export function TimelineFailure(props: {
  model: TimelineModel;
  error: ApiError;
  trans: TranslationBundle;
}): React.ReactElement {
  const { model, error, trans } = props;
  // With a timeline its own bar leads to Perfetto.
  const toPerfetto = model.hasPerfetto && !model.timeline;
  return (
    <Callout
      tone="error"
      title={
        model.timeline
          ? trans.__('A part of the timeline could not be fetched.')
          : trans.__('The timeline could not be made.')
      }
    >
      <>
        <p>{`${error.message} ${error.hint}`.trim()}</p>
        {toPerfetto && (
          <p>
            {trans.__(
              'Perfetto reads the trace itself, so it may show it all the same.'
            )}
          </p>
        )}
        <div className="gol-Timeline-actions">
          <ActionButton
            label={trans.__('Try again')}
            onClick={() => model.retry()}
          />
          {toPerfetto && (
            <ActionButton
              label={trans.__('Perfetto')}
              onClick={() => model.openPerfetto()}
            />
          )}
        </div>
      </>
    </Callout>
  );
}
