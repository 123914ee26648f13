import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { Facts } from '../../../core';
import { formatMoney } from '../../../core/money';
import { formatMicroseconds, formatShare } from '../../figures';
import type { IProfileSummary } from '../../service';
import { median } from '../parts';

type Figure = readonly [name: string, value: string, why: string];

/** Key figures of a profile; an unknown figure has a reason. */
export function KeyFigures(props: KeyFigures.IProps): React.ReactElement {
  const { summary, trans } = props;
  const { devices, price, roofline, steps } = summary;
  const span = devices.reduce((sum, { span_us }) => sum + span_us, 0);
  const of = (field: 'busy_us' | 'exposed_comm_us') =>
    devices.reduce((sum, each) => sum + each[field], 0);
  const measured = steps.filter(({ warmup }) => !warmup);
  const unknown = trans.__('not known');
  const host: Figure = [
    trans.__('Host busy'),
    formatShare(summary.cpu.busy_us, summary.cpu.span_us),
    trans.__('Share of the time from the first to the last operator on the CPU')
  ];
  const ofDevices: Figure[] = [
    [
      trans.__('Device busy'),
      span > 0 ? formatShare(of('busy_us'), span) : unknown,
      trans.__(
        'Share of the time from the first start to the last end on a device'
      )
    ],
    [
      trans.__('Exposed communication'),
      span > 0 ? formatShare(of('exposed_comm_us'), span) : unknown,
      trans.__('Communication while no GPU kernel computes')
    ]
  ];
  const step: Figure = [
    trans.__('Step time'),
    measured.length > 0
      ? formatMicroseconds(median(measured.map(({ span_us }) => span_us)))
      : unknown,
    measured.length > 0
      ? trans._n(
          'Median of %1 step, without warm-up',
          'Median of %1 steps, without warm-up',
          measured.length
        )
      : trans.__('The trace marks no steps.')
  ];
  const cost: Figure = [
    trans.__('Cost per step'),
    typeof price?.usd_a_step === 'number'
      ? formatMoney(price.usd_a_step, 'USD', 'given')
      : unknown,
    sourceOfPrice(price, trans)
  ];
  const ofModel: Figure[] = [
    [
      trans.__('MFU'),
      typeof roofline?.mfu === 'number'
        ? formatShare(roofline.mfu, 1)
        : unknown,
      roofline?.missing ||
        trans.__(
          'Model FLOPs utilization: the model’s FLOPs per second, in percent of the peak'
        )
    ],
    cost
  ];
  const figures =
    devices.length > 0
      ? [...ofDevices, step, ...ofModel]
      : [host, step, ...(price ? [cost] : [])];
  return (
    <>
      <Facts
        className="gol-Profile-keys"
        facts={figures.map(([name, value, caption]) => [
          name,
          value,
          {
            caption,
            className: value === unknown ? 'gol-Profile-quiet' : undefined
          }
        ])}
      />
      {price && (
        <p className="gol-Profile-quiet">
          {cost[0]}: {sourceOfPrice(price, trans)}
        </p>
      )}
      {summary.devices.length > 0 && typeof roofline?.mfu !== 'number' && (
        <p className="gol-Profile-quiet">
          {trans.__('MFU is not known.')}{' '}
          {roofline?.missing ||
            trans.__('The FLOPs of its operators are not known.')}
        </p>
      )}
    </>
  );
}

function sourceOfPrice(
  price: IProfileSummary['price'],
  trans: TranslationBundle
): string {
  if (!price) {
    return trans.__(
      'The target has no price. Set one in the settings of the target.'
    );
  }
  const rate = formatMoney(price.usd_per_hour, 'USD', 'given');
  const source = price.target
    ? trans.__('At %1 an hour, the price of target %2.', rate, price.target)
    : trans.__('At %1 an hour, the given price.', rate);
  return typeof price.usd_a_step === 'number'
    ? source
    : `${source} ${trans.__('The trace marks no steps.')}`;
}

export namespace KeyFigures {
  export interface IProps {
    summary: IProfileSummary;
    trans: TranslationBundle;
  }
}
