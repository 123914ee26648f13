import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { DataTable } from '../../../core';
import { formatMicroseconds, formatShare } from '../../figures';
import type { IProfileSummary } from '../../service';
import { deviceName, median, straggler } from '../parts';

type Field =
  'busy_us' | 'compute_us' | 'comm_us' | 'exposed_comm_us' | 'idle_us';

/**
 * One small bar per rank and figure, each figure on its own scale, and the
 * slowest rank.
 */
export function Ranks(props: Ranks.IProps): React.ReactElement {
  const { summary, onRank, trans } = props;
  const { devices } = summary;
  const late = summary.advice.find(({ code }) => code === 'straggler');
  const slow = straggler(devices);
  const marked = late ? late.rank : slow?.rank;
  const fields: [Field, string][] = [
    ['busy_us', trans.__('Busy')],
    ['compute_us', trans.__('Compute')],
    ['comm_us', trans.__('Communication')],
    ['exposed_comm_us', trans.__('Exposed communication')],
    ['idle_us', trans.__('Idle')]
  ];
  const most = new Map(
    fields.map(([field]) => [
      field,
      Math.max(...devices.map(each => each[field]), Number.MIN_VALUE)
    ])
  );
  const middle = median(devices.map(({ compute_us }) => compute_us));
  return (
    <>
      <p>
        {late && `${late.title}. `}
        {slow
          ? trans.__(
              'Rank %1 computes %2 longer than the median of the ranks.',
              slow.rank,
              formatShare(slow.over, 1)
            )
          : trans.__(
              'No rank computes more than 5 % longer than the median of the ranks.'
            )}{' '}
        <button
          type="button"
          className="gol-LinkButton"
          onClick={() => onRank(null)}
        >
          {trans.__('Show all ranks on one timeline')}
        </button>
      </p>
      <DataTable
        caption={trans.__('Comparison of ranks')}
        region="gol-Profile-scroll"
        className="gol-Profile-table gol-Ranks"
        rows={devices}
        rowKey={({ rank, device }) => `${rank}:${device}`}
        rowClass={({ rank }) => (rank === marked ? 'gol-mod-slow' : undefined)}
        columns={[
          {
            id: 'rank',
            title: trans.__('Rank'),
            isHead: true,
            cell: device => (
              <>
                <button
                  type="button"
                  className="gol-LinkButton"
                  title={trans.__('Show the timeline of rank %1', device.rank)}
                  onClick={() => onRank(device.rank)}
                >
                  {deviceName(device, summary.ranks, trans)}
                </button>
                {device.rank === marked && (
                  <span className="gol-Ranks-slow">
                    {late ? trans.__('late') : trans.__('slow')}
                  </span>
                )}
              </>
            )
          },
          ...fields.map(([field, title]) => ({
            id: field,
            title,
            cell: (device: IProfileSummary['devices'][number]) => (
              <>
                <span
                  className="gol-Ranks-bar"
                  aria-hidden="true"
                  style={{
                    width: `${(device[field] / most.get(field)!) * 100}%`,
                    background: `var(--gol-part-${PART[field]})`
                  }}
                />
                {formatMicroseconds(device[field])}
              </>
            )
          })),
          {
            id: 'median',
            title: trans.__('Compared with the median'),
            titleTip: trans.__(
              'Compute time compared with the median of the ranks'
            ),
            cell: ({ compute_us }) =>
              middle > 0 ? signedShare(compute_us / middle - 1) : '–'
          }
        ]}
      />
    </>
  );
}

export namespace Ranks {
  export interface IProps {
    summary: IProfileSummary;
    /** Show a rank's timeline; null: that of all ranks. */
    onRank: (rank: number | null) => void;
    trans: TranslationBundle;
  }
}

const PART: Record<Field, string> = {
  busy_us: 'other',
  compute_us: 'compute',
  comm_us: 'comm',
  exposed_comm_us: 'comm',
  idle_us: 'idle'
};

function signedShare(share: number): string {
  const percent = Number((share * 100).toFixed(1));
  return `${percent > 0 ? '+' : ''}${percent} %`;
}
