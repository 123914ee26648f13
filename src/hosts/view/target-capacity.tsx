import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { ActionButton, ApiError } from '../../core';

import { capacityWords, mayAsk } from '../capacity-messages';
import type { TargetsModel } from '../model';
import type { ITarget } from '../service';

/**
 * What a cluster has free. It is asked on a press: an open panel connects
 * nothing. The server then asks again while somebody watches.
 */
export function TargetCapacity(props: {
  target: ITarget;
  model: TargetsModel;
  trans: TranslationBundle;
}): React.ReactElement | null {
  const { target, model, trans } = props;
  const [asking, setAsking] = React.useState(false);
  const [failure, setFailure] = React.useState('');
  // Why a kernel waits is told, and is newer than what was free.
  if (!target.allocates || target.state === 'pending') {
    return null;
  }
  const words = capacityWords(target, trans);
  const ask = async () => {
    setAsking(true);
    setFailure('');
    try {
      await model.service.capacity(target.name);
      await model.list.refresh();
    } catch (reason) {
      setFailure(ApiError.from(reason, trans).message);
    } finally {
      setAsking(false);
    }
  };
  return (
    <div className="gol-Capacity" role="status">
      {(words || failure) && (
        <span className="gol-Capacity-words">{failure || words}</span>
      )}
      {(asking || failure || mayAsk(target)) && (
        <ActionButton
          label={asking ? trans.__('Asking…') : trans.__('Show free GPUs')}
          caption={trans.__(
            'Ask %1 which GPUs are free and how many wait',
            target.name
          )}
          disabled={asking}
          onClick={() => void ask()}
        />
      )}
    </div>
  );
}
