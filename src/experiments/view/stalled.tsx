import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { formatDuration } from '../../core';
import { useNow } from '../../core/ui/time';
import type { ExperimentsModel } from '../model';
import type { IRun } from '../service';

/** As `genops runs list` has it: `experiments/stalled.py`. */
const STALLED_AFTER_S = 300;
/** How often a run is looked at again while it logs nothing. */
const LOOK_S = 60;

/** Says of a run that goes on that it has logged no metric for long: it may hang. */
export function Stalled(props: Stalled.IProps): React.ReactElement | null {
  const { run, model, trans } = props;
  const now = useNow(LOOK_S);
  const own = Object.entries(run.metrics).filter(
    ([key]) => !key.startsWith('system/')
  );
  const values = JSON.stringify(own);
  const [changed, setChanged] = React.useState(0);
  // What changes on this page needs no request; equal values may come as well.
  const before = React.useRef(values);
  React.useEffect(() => {
    if (values !== before.current) {
      before.current = values;
      setChanged(Date.now() / 1000);
    }
  }, [values]);
  const [latest, setLatest] = React.useState({ at: 0, asked: 0 });
  const isQuiet =
    own.length > 0 && now - Math.max(changed, latest.at) > STALLED_AFTER_S;
  React.useEffect(() => {
    if (!isQuiet || !model.visible) {
      return;
    }
    let ended = false;
    model.lastMetricAt(run.run_id).then(
      at => !ended && setLatest({ at, asked: Date.now() / 1000 }),
      // It is asked again in a minute.
      () => undefined
    );
    return () => {
      ended = true;
    };
  }, [isQuiet, now, run.run_id]);
  const isSure = latest.at > 0 && now - latest.asked < 2 * LOOK_S;
  if (!isQuiet || !isSure) {
    return null;
  }
  const minutes = Math.floor((now - latest.at) / 60);
  return (
    <span
      className="gol-Run-stalled"
      title={trans.__(
        'The run goes on, but has logged no metric for some time: see whether its cell still runs.'
      )}
    >
      {trans.__('no metric for %1', formatDuration(minutes * 60))}
    </span>
  );
}

export namespace Stalled {
  export interface IProps {
    run: IRun;
    model: ExperimentsModel;
    trans: TranslationBundle;
  }
}
