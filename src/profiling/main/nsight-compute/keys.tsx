import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { Facts } from '../../../core';
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
    <Facts
      className="gol-Profile-keys"
      facts={[
        [
          trans.__('GPU kernels measured'),
          <React.Fragment key="kernels">
            {kernelCount(measured).toLocaleString()}{' '}
            <small>
              {trans._n('%1 launch', '%1 launches', measured.launches)}
            </small>
          </React.Fragment>,
          {
            caption: trans.__(
              'Launches with the same grid, block and source line count as one GPU kernel'
            )
          }
        ],
        [
          trans.__('Total GPU kernel time'),
          formatMicroseconds(measured.total_us),
          {
            caption: trans.__(
              'All launches, at the clock rates of the measurement'
            )
          }
        ],
        [
          trans.__('Bound by'),
          bounds.map(({ bound, us }) => (
            <span key={bound}>
              {formatShare(us, measured.total_us)}{' '}
              <small>
                <BoundMark bound={bound} trans={trans} />
              </small>
            </span>
          )),
          {
            caption: trans.__('GPU kernel time by limit'),
            className: 'gol-Measured-bounds'
          }
        ],
        models.length > 0
          ? [
              trans.__('GPU'),
              models.join(', '),
              { caption: trans.__('GPU that ran the kernels') }
            ]
          : null,
        [
          trans.__('Largest est. speedup'),
          <React.Fragment key="best">
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
          </React.Fragment>,
          {
            caption: trans.__(
              'The change that saves most of all GPU kernels’ time, as Nsight Compute estimates it'
            ),
            className: best ? undefined : 'gol-Profile-quiet'
          }
        ]
      ]}
    />
  );
}

export namespace MeasuredKeys {
  export interface IProps {
    measured: IMeasurement;
    devices: readonly Pick<IDeviceTime, 'model'>[];
    trans: TranslationBundle;
  }
}
