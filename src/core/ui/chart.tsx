import * as React from 'react';

import type { ILine, ILineChart } from '../charts/line-chart';
import { LineChart } from '../charts/line-chart';
import { formatNumber } from '../format';

/** A line chart; screen readers read the latest values. */
export function Chart(props: Chart.IProps): React.ReactElement {
  const { label, height, ...chart } = props;
  const host = React.useRef<HTMLDivElement>(null);
  const drawn = React.useRef<LineChart | null>(null);
  React.useEffect(() => {
    const made = new LineChart(host.current!, height);
    drawn.current = made;
    return () => made.dispose();
  }, [height]);
  React.useEffect(() => drawn.current?.update(chart));
  return (
    <div
      ref={host}
      className="gol-Chart"
      role="img"
      aria-label={`${label}: ${chart.lines.map(latest).join(', ')}`}
      style={{ height }}
    />
  );
}

export namespace Chart {
  export interface IProps extends ILineChart {
    /** The chart's subject; read aloud. */
    label: string;
    height: number;
  }
}

function latest({ label, y }: ILine): string {
  for (let at = y.length - 1; at >= 0; at--) {
    const value = y[at];
    if (value !== null && Number.isFinite(value)) {
      return `${label} ${formatNumber(value)}`;
    }
  }
  return label;
}
