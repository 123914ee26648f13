import * as React from 'react';

/** The latest readings as a small line, hidden from screen readers: the value stands beside it. */
export function Sparkline(props: Sparkline.IProps): React.ReactElement {
  const { values, max, capacity } = props;
  const x = (index: number) =>
    WIDTH - (values.length - 1 - index) * (WIDTH / Math.max(1, capacity - 1));
  const y = (value: number) =>
    HEIGHT - 1 - Math.min(1, Math.max(0, value / max)) * (HEIGHT - 2);
  const line = values
    .map((value, index) => `${x(index).toFixed(1)},${y(value).toFixed(1)}`)
    .join(' ');
  return (
    <svg
      className="gol-Sparkline"
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      preserveAspectRatio="none"
      aria-hidden="true"
      focusable="false"
    >
      {values.length > 1 && (
        <>
          <polygon
            points={`${x(0).toFixed(1)},${HEIGHT} ${line} ${WIDTH},${HEIGHT}`}
          />
          <polyline points={line} vectorEffect="non-scaling-stroke" />
        </>
      )}
    </svg>
  );
}

export namespace Sparkline {
  export interface IProps {
    /** Oldest first. */
    values: readonly number[];
    /** Value at the top of the line. */
    max: number;
    /** Number of readings that fill the width. */
    capacity: number;
  }
}

const WIDTH = 80;
const HEIGHT = 16;
