import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { formatNumber } from '../../core/format';

import { formatMicroseconds, formatShare } from '../figures';

const FIRST_SHOWN = 10;

/** Names by time, longest first, with a bar in each row. */
export function RankedTimes(
  props: RankedTimes.IProps
): React.ReactElement | null {
  const { title, trans } = props;
  const [all, setAll] = React.useState(false);
  const rows = React.useMemo(
    () => [...props.rows].sort((one, other) => other.us - one.us),
    [props.rows]
  );
  if (rows.length === 0) {
    return null;
  }
  const total = rows.reduce((sum, row) => sum + row.us, 0);
  const longest = rows[0].us;
  const shown = all ? rows : rows.slice(0, FIRST_SHOWN);
  return (
    <div className="gol-RankedTimes">
      <table>
        <caption>{title}</caption>
        <thead className="gol-VisuallyHidden">
          <tr>
            <th scope="col">{trans.__('Name')}</th>
            <th scope="col" className="gol-RankedTimes-count">
              {trans.__('Count')}
            </th>
            <th scope="col">{trans.__('Time')}</th>
            <th scope="col" className="gol-RankedTimes-share">
              {trans.__('Share')}
            </th>
          </tr>
        </thead>
        <tbody>
          {shown.map(row => (
            <tr key={row.name} title={row.tip}>
              <td className="gol-RankedTimes-name">
                <span
                  className="gol-RankedTimes-bar"
                  aria-hidden="true"
                  style={{
                    width: `${longest > 0 ? (row.us / longest) * 100 : 0}%`
                  }}
                />
                <span className="gol-RankedTimes-text">
                  {row.name.replace(/^aten::/, '')}
                </span>
              </td>
              <td className="gol-RankedTimes-count">{`${formatNumber(row.count)}×`}</td>
              <td>{formatMicroseconds(row.us)}</td>
              <td className="gol-RankedTimes-share">
                {formatShare(row.us, total)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > FIRST_SHOWN && (
        <button
          type="button"
          className="gol-LinkButton"
          aria-expanded={all}
          onClick={() => setAll(!all)}
        >
          {all
            ? trans.__('Show fewer')
            : trans.__('Show all %1', rows.length.toLocaleString())}
        </button>
      )}
    </div>
  );
}

export namespace RankedTimes {
  export interface IRow {
    name: string;
    count: number;
    /** Microseconds. */
    us: number;
    /** All figures as text. */
    tip: string;
  }

  export interface IProps {
    title: string;
    rows: readonly IRow[];
    trans: TranslationBundle;
  }
}
