import type { TranslationBundle } from '@jupyterlab/translation';
import { closeIcon, infoIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { ActionButton, ApiError, Callout, IconButton } from '../../../core';
import type { RunTableModel } from '../model';
import type { IRunsState } from '../service';

/** Says why the table is not updated, and what would make MLflow faster. */
export function Notices(props: Notices.IProps): React.ReactElement {
  const { model, state, trans } = props;
  const advice = state.advice.filter(({ code }) => !model.isDismissed(code));
  return (
    <>
      {state.problem && (
        <Callout tone="warning" title={trans.__('The table is not updated.')}>
          {trans.__(
            '%1 The rows stay, and updates follow when MLflow answers again.',
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
    <div className="gol-RunTable-advice" role="note" title={advice.message}>
      <infoIcon.react tag="span" className="gol-Icon" />
      <span>
        {error
          ? `${error.message} ${error.hint}`
          : trans.__(
              "MLflow's own searches are slow here, because its file has no statistics. ANALYZE makes the statistics and changes no data."
            )}
      </span>
      <ActionButton
        label={busy ? trans.__('Running…') : trans.__('Run ANALYZE')}
        disabled={busy}
        onClick={() => void analyze()}
      />
      <IconButton
        icon={closeIcon}
        label={trans.__('Dismiss this advice')}
        onClick={() => model.dismiss(advice.code)}
      />
    </div>
  );
}
