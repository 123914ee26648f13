import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { IGenOpsCore } from '../../core';
import { ActionButton, StatusBadge, confirm, tellFailure } from '../../core';
import { Progress } from '../../core/ui/progress';

import { isUnfinished, missingOf, stateOf } from './figures';
import type { AnswersService, IListed } from './service';

/** The state of an evaluation, and how far it is. */
export function EvaluationState(props: {
  listed: IListed;
  trans: TranslationBundle;
}): React.ReactElement {
  const { listed, trans } = props;
  const { evaluation, task } = listed;
  const { tone, label } = stateOf(listed, trans);
  const share = task?.progress;
  return (
    <span className="gol-Answers-state">
      <StatusBadge tone={tone} label={label} caption={task?.message} />
      {typeof share === 'number' && (
        <Progress
          label={trans.__('Answers of %1', evaluation.name)}
          done={share}
          of={1}
          text={`${Math.floor(share * 100)} %`}
        />
      )}
    </span>
  );
}

/** What can be done with an evaluation. Each action ends after the server accepted it. */
export class EvaluationActions {
  constructor(
    private _service: AnswersService,
    private _core: Pick<IGenOpsCore, 'trans'>,
    private _refresh: () => Promise<void>,
    private _onDeleted: () => void = () => undefined
  ) {}

  cancel = (task: string): void => this._do(this._service.cancel(task));

  resume = (id: string): void => this._do(this._service.resume(id));

  score = (id: string): void =>
    this._do(
      import('./score-dialog').then(({ openScore }) =>
        openScore(this._service, id, this._core.trans)
      )
    );

  remove = (id: string): void => this._do(this._remove(id));

  private async _remove(id: string): Promise<void> {
    const { trans } = this._core;
    const agreed = await confirm({
      title: trans.__('Delete the evaluation %1?', id),
      body: trans.__(
        'This deletes its answers and scores. Its runs and traces in MLflow stay.'
      ),
      action: trans.__('Delete'),
      danger: true,
      trans
    });
    if (agreed) {
      const left = await this._service.delete(id);
      this._onDeleted();
      if (left) {
        Notification.info(left, { autoClose: false });
      }
    }
  }

  private _do(work: Promise<unknown>): void {
    void work
      .catch((reason: unknown) => tellFailure(reason, this._core.trans))
      .then(() => this._refresh());
  }
}

/** Cancel while a task runs; afterwards what makes the evaluation complete. */
export function GoOn(props: {
  listed: IListed;
  actions: EvaluationActions;
  trans: TranslationBundle;
}): React.ReactElement | null {
  const { listed, actions, trans } = props;
  const { evaluation, task } = listed;
  const { failed, unasked } = missingOf(evaluation);
  if (task) {
    return (
      <ActionButton
        label={trans.__('Cancel')}
        caption={trans.__('Stop. The answers so far are kept.')}
        onClick={() => actions.cancel(task.id)}
      />
    );
  }
  const isWhole = unasked === 0 && evaluation.stage === 'done';
  if (!isWhole || (failed === 0 && isUnfinished(evaluation))) {
    return (
      <ActionButton
        label={trans.__('Resume')}
        caption={trans.__(
          'Ask for the missing answers of %1, and score them',
          evaluation.name
        )}
        onClick={() => actions.resume(evaluation.id)}
      />
    );
  }
  return failed > 0 ? (
    <ActionButton
      label={trans.__('Rerun failed calls')}
      caption={trans._n(
        'Make the %1 failed call again. No other answer is paid for again.',
        'Make the %1 failed calls again. No other answer is paid for again.',
        failed
      )}
      onClick={() => actions.resume(evaluation.id)}
    />
  ) : null;
}
