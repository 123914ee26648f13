import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { formatMicroseconds, formatShare } from '../../figures';
import type { IDeviceTime, IMeasurement } from '../../service';

import { BoundMark } from './columns';
import { bestGain, kernelCount, timeByBound } from './sums';
import { modelsOf, percent } from './messages';

/** Key figures of a measurement: kernels, time, limits, device, best change. */
export function MeasuredKeys(props: MeasuredKeys.IProps): React.ReactElement {
  const { measured, devices, trans } = props;
  const best = bestGain(measured);
  const bounds = timeByBound(measured);
  const models = modelsOf(devices);
  return (
    <dl className="gol-Profile-keys">
      <div
        title={trans.__(
          'Launches with the same grid, block and source line count as one kernel'
        )}
      >
        <dt>{trans.__('Kernels measured')}</dt>
        <dd>
          {kernelCount(measured).toLocaleString()}{' '}
          <small>
            {trans._n('%1 launch', '%1 launches', measured.launches)}
          </small>
        </dd>
      </div>
      <div
        title={trans.__('All launches, at the clock rates of the measurement')}
      >
        <dt>{trans.__('Total kernel time')}</dt>
        <dd>{formatMicroseconds(measured.total_us)}</dd>
      </div>
      <div title={trans.__('Kernel time by limit')}>
        <dt>{trans.__('Bound by')}</dt>
        <dd className="gol-Measured-bounds">
          {bounds.map(({ bound, us }) => (
            <span key={bound}>
              {formatShare(us, measured.total_us)}{' '}
              <small>
                <BoundMark bound={bound} trans={trans} />
              </small>
            </span>
          ))}
        </dd>
      </div>
      {models.length > 0 && (
        <div title={trans.__('GPU that ran the kernels')}>
          <dt>{trans.__('GPU')}</dt>
          <dd>{models.join(', ')}</dd>
        </div>
      )}
      <div
        className="gol-Measured-best"
        title={trans.__(
          'The change that saves most of all kernels’ time, as Nsight Compute estimates it'
        )}
      >
        <dt>{trans.__('Largest est. speedup')}</dt>
        <dd className={best ? undefined : 'gol-Profile-quiet'}>
          {best ? formatMicroseconds(best.us) : trans.__('no estimate')}
          {best && (
            <small>
              {' '}
              {trans.__(
                '%1 of %2: %3',
                percent(best.rule.speedup_pct ?? 0),
                best.kernel.name,
                best.rule.title || best.rule.identifier
              )}
            </small>
          )}
        </dd>
      </div>
    </dl>
  );
}

export namespace MeasuredKeys {
  export interface IProps {
    measured: IMeasurement;
    devices: readonly Pick<IDeviceTime, 'model'>[];
    trans: TranslationBundle;
  }
}
