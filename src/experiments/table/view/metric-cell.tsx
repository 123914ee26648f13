import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { formatMoment } from '../../../core';
import type { RunTableModel } from '../model';

/**
 * The pointer's rest before a request, in ms: crossing the cell requests
 * nothing.
 */
const POINTED_MS = 150;

/**
 * A metric, with its best value if that differs. Pointing at it shows its step
 * and time.
 */
export function MetricCell(props: MetricCell.IProps): React.ReactElement {
  const { model, runId, metric, value, best, trans } = props;
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
      // The value is shown; the details can be requested again.
    }
  };
  const step = best?.step.toLocaleString();
  const bestAt =
    best &&
    (best.which === 'max'
      ? trans.__('highest %1 at step %2', best.value, step)
      : trans.__('lowest %1 at step %2', best.value, step));
  return (
    <span
      className={best && 'gol-RunTable-withBest'}
      title={[value, moment, bestAt].filter(Boolean).join('\n')}
      onMouseEnter={() => {
        timer.current = window.setTimeout(() => void ask(), POINTED_MS);
      }}
      onMouseLeave={() => window.clearTimeout(timer.current)}
    >
      {best && (
        <span className="gol-RunTable-best">
          {best.which === 'max'
            ? trans.__('max %1', best.text)
            : trans.__('min %1', best.text)}
        </span>
      )}
      {best ? <span>{props.children}</span> : props.children}
    </span>
  );
}

export namespace MetricCell {
  export interface IProps {
    model: RunTableModel;
    runId: string;
    metric: string;
    value: number | string;
    best?: IBest;
    children: React.ReactNode;
    trans: TranslationBundle;
  }

  export interface IBest {
    which: 'min' | 'max';
    value: number;
    /** The value as a cell shows it. */
    text: string;
    /** The first step with that value. */
    step: number;
  }
}
