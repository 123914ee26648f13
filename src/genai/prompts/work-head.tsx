import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { ActionButton, Callout, tellFailure } from '../../core';

import type { IWork, WorkModel } from './work-model';

interface IIdentified {
  id: string;
}

/** The button that cancels work or goes on with it. */
export function CancelOrResume(props: {
  model: Pick<WorkModel<IIdentified, IIdentified>, 'cancel' | 'resume'>;
  work: IWork<IIdentified>;
  canResume: boolean;
  resume: string;
  caption: string;
  trans: TranslationBundle;
}): React.ReactElement {
  const { model, work, canResume, resume, caption, trans } = props;
  const { found, task } = work;
  // Each action has its own: Resume can be pressed while the answer to Cancel is on its way.
  const [busy, setBusy] = React.useState('');
  const attempt = async (what: string, action: Promise<unknown>) => {
    setBusy(what);
    await action.catch((reason: unknown) => tellFailure(reason, trans));
    setBusy(now => (now === what ? '' : now));
  };
  if (task) {
    return (
      <ActionButton
        label={trans.__('Cancel')}
        caption={trans.__('Stop. The answers so far are kept.')}
        busy={busy === 'cancel'}
        onClick={() => void attempt('cancel', model.cancel(task.id))}
      />
    );
  }
  return canResume ? (
    <ActionButton
      label={resume}
      caption={caption}
      busy={busy === 'resume'}
      onClick={() => void attempt('resume', model.resume(found.id))}
    />
  ) : (
    <></>
  );
}

/** Why the last task on some work ended early. */
export function FailedTask(props: {
  work: IWork<unknown>;
  title: string;
}): React.ReactElement {
  const { failed } = props.work;
  return failed ? (
    <Callout tone="error" title={props.title}>
      <>
        <p>{failed.message}</p>
        {failed.hint && <p>{failed.hint}</p>}
      </>
    </Callout>
  ) : (
    <></>
  );
}
