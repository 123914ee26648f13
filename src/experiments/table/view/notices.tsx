import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { ActionButton, ApiError, Callout } from '../../../core';
import type { RunTableModel } from '../model';
import type { IRunsState } from '../service';

/** Why nothing new comes, and what would make MLflow faster. */
export function Notices(props: Notices.IProps): React.ReactElement {
  const { model, state, trans } = props;
  const advice = state.advice.filter(({ code }) => !model.isDismissed(code));
  return (
    <>
      {state.problem && (
        <Callout tone="warning" title={trans.__('Nothing new comes.')}>
          {trans.__(
            '%1 What is here stays, and changes follow when MLflow answers again.',
            state.problem
          )}
        </Callout>
      )}
      {advice.map(each => (
        <Advice key={each.code} {...props} advice={each} />
      ))}
    </>
  );
}

export namespace Notices {
  export interface IProps {
    model: RunTableModel;
    state: IRunsState;
    /** Run ANALYZE. */
    onAnalyze: () => Promise<void>;
    trans: TranslationBundle;
  }
}

function Advice(
  props: Notices.IProps & { advice: IRunsState['advice'][number] }
): React.ReactElement {
  const { model, advice, trans } = props;
  const [busy, setBusy] = React.useState(false);
  const [error, setError] = React.useState<ApiError | null>(null);
  const analyze = async () => {
    setBusy(true);
    setError(null);
    try {
      await props.onAnalyze();
    } catch (reason) {
      setError(ApiError.from(reason, trans));
      setBusy(false);
    }
  };
  return (
    <Callout tone="info" title={advice.message}>
      <p>{error ? `${error.message} ${error.hint}` : advice.hint}</p>
      <div className="gol-Actions">
        <ActionButton
          label={busy ? trans.__('Running…') : trans.__('Run ANALYZE')}
          disabled={busy}
          onClick={() => void analyze()}
        />
        <ActionButton
          label={trans.__('Dismiss')}
          onClick={() => model.dismiss(advice.code)}
        />
      </div>
    </Callout>
  );
}
