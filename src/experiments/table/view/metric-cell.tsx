import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { formatMoment } from '../../../core';
import type { RunTableModel } from '../model';

/** Who only crosses the cell asks for nothing. */
const POINTED_MS = 150;

/** A metric; pointed at, it says at which step and when it was logged. */
export function MetricCell(props: MetricCell.IProps): React.ReactElement {
  const { model, runId, metric, value, trans } = props;
  const [moment, setMoment] = React.useState('');
  const timer = React.useRef<number>();
  React.useEffect(() => {
    setMoment('');
    return () => window.clearTimeout(timer.current);
  }, [runId, metric, value]);
  const ask = async () => {
    const version = model.windows.snapshot.state?.version ?? 0;
    try {
      const found = await model.latest.get(runId, metric, version);
      if (found) {
        const at = formatMoment(found.at);
        setMoment(trans.__('step %1, %2', found.step.toLocaleString(), at));
      }
    } catch {
      // The value is there; what more there is can be asked again.
    }
  };
  return (
    <span
      title={moment ? `${value}\n${moment}` : String(value)}
      onMouseEnter={() => {
        timer.current = window.setTimeout(() => void ask(), POINTED_MS);
      }}
      onMouseLeave={() => window.clearTimeout(timer.current)}
    >
      {props.children}
    </span>
  );
}

export namespace MetricCell {
  export interface IProps {
    model: RunTableModel;
    runId: string;
    metric: string;
    value: number | string;
    children: React.ReactNode;
    trans: TranslationBundle;
  }
}
