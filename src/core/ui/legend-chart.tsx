import * as React from 'react';

import { lineColor } from '../charts/look';
import { formatNumber } from '../format';

import { Chart } from './chart';

import '../../../style/core/legend.css';

/** A line chart with its legend: the colour of each line, its name and its latest value. */
export function LegendChart(
  props: Chart.IProps & {
    /** The unit of the values, such as ms; empty for none. */
    unit?: string;
  }
): React.ReactElement {
  const { unit, ...chart } = props;
  return (
    <>
      <ul className="gol-Legend">
        {chart.lines.map(({ label, y }, place) => {
          const value = y.filter(each => each !== null).pop();
          const shown =
            value === undefined || value === null
              ? '–'
              : formatNumber(Number(value.toPrecision(3)));
          return (
            <li key={label}>
              <span
                className="gol-Legend-line"
                style={{ borderTopColor: lineColor(place) }}
                aria-hidden="true"
              />
              {label} <b>{unit ? `${shown} ${unit}` : shown}</b>
            </li>
          );
        })}
      </ul>
      <Chart {...chart} />
    </>
  );
}
