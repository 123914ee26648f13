import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { IMeasuredKernel, IMeasurement } from '../../service';
import { Bars } from '../bars';
import type { IBar } from '../parts';
import { deviceName } from '../parts';

import { MeasuredKeys } from './keys';
import { timeByBound } from './sums';
import { boundWord } from './messages';

/**
 * Key figures of a measurement. Kernels ran one by one, so there is no idle
 * time and no host time.
 */
export function MeasuredFigures(
  props: MeasuredKeys.IProps
): React.ReactElement {
  const { measured } = props;
  return (
    <>
      <MeasuredKeys {...props} />
      {measured.note && <p className="gol-Profile-quiet">{measured.note}</p>}
    </>
  );
}

/** GPU kernel time by limit, for each device. */
export function MeasuredTime(props: {
  measured: IMeasurement;
  ranks: readonly number[];
  trans: TranslationBundle;
}): React.ReactElement {
  const { measured, ranks, trans } = props;
  const bars = React.useMemo(
    () => boundBars(measured, ranks, trans),
    [measured, ranks, trans]
  );
  return (
    <Bars
      title={trans.__('GPU kernel time by limit')}
      first={trans.__('Device')}
      bars={bars}
      trans={trans}
    />
  );
}

/**
 * One bar per device; kernels that are left out of the list have no device and
 * no bar.
 */
export function boundBars(
  { kernels }: Pick<IMeasurement, 'kernels'>,
  ranks: readonly number[],
  trans: TranslationBundle
): IBar[] {
  const devices = new Map<string, IMeasuredKernel[]>();
  for (const kernel of kernels) {
    const name = deviceName(kernel, ranks, trans);
    devices.set(name, [...(devices.get(name) ?? []), kernel]);
  }
  return [...devices].map(([label, own]) => ({
    label,
    parts: timeByBound({
      kernels: own,
      total_us: own.reduce((sum, { total_us }) => sum + total_us, 0)
    }).map(({ bound, us }) => ({
      id: `bound-${bound || 'unknown'}`,
      label: boundWord(bound, trans),
      us
    }))
  }));
}
