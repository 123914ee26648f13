import * as React from 'react';
import type uPlot from 'uplot';

import type { IMark } from '../chart-marks';
import { drawMarks } from '../chart-marks';
import { LastLabel } from '../last-label';
import { formatNumber, onThemeChange, readColors } from '../palette';

/** Lines over a common x, drawn by uPlot, which is loaded with the first chart. */
export function Chart(props: Chart.IProps): React.ReactElement {
  const { x, series, height = 120, label } = props;
  const host = React.useRef<HTMLDivElement>(null);
  const plot = React.useRef<uPlot | null>(null);
  const latest = React.useRef(props);
  latest.current = props;
  // A new set of lines needs a new plot; new points do not.
  const shape = JSON.stringify([
    series.map(line => [line.label, line.color]),
    props.xTime ?? false,
    height
  ]);

  React.useEffect(() => {
    const node = host.current;
    if (!node) {
      return;
    }
    let ended = false;
    let make: typeof uPlot | null = null;

    const draw = () => {
      if (ended || !make) {
        return;
      }
      plot.current?.destroy();
      plot.current = new make(
        chartOptions(latest, node, height),
        chartData(latest.current),
        node
      );
    };
    void import('uplot').then(module => {
      make = module.default;
      draw();
    });
    const endTheme = onThemeChange(() => requestAnimationFrame(draw));
    const resize = new ResizeObserver(() => {
      const width = node.clientWidth;
      if (width > 0 && plot.current && plot.current.width !== width) {
        plot.current.setSize({ width, height });
      }
    });
    resize.observe(node);
    return () => {
      ended = true;
      endTheme();
      resize.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [shape]);

  React.useEffect(() => {
    plot.current?.setData(chartData(latest.current));
  }, [x, series, props.marks]);

  const summary = series
    .map(line => {
      const last = lastFinite(line.values);
      return last === undefined
        ? line.label
        : `${line.label} ${(props.format ?? formatNumber)(last)}`;
    })
    .join(', ');
  return (
    <div
      ref={host}
      className="gol-Chart"
      role="img"
      aria-label={`${label}: ${summary}`}
      style={{ height }}
    />
  );
}

export namespace Chart {
  export interface ISeries {
    label: string;
    /** One a point of x; null is a gap. */
    values: (number | null)[];
    /** A colour or a CSS variable such as `--jp-brand-color1`; the palette's by default. */
    color?: string;
  }

  export interface IProps {
    /** What it shows; read aloud with the latest values. */
    label: string;
    x: number[];
    series: ISeries[];
    height?: number;
    /** Whether x are seconds since 1970. */
    xTime?: boolean;
    /** Fixed bounds of y. */
    range?: [number, number];
    format?: (value: number) => string;
    /** Where something begins, such as NaN. */
    marks?: readonly IMark[];
    /** Hide the axes: a sparkline. */
    bare?: boolean;
  }
}

function lastFinite(values: (number | null)[]): number | undefined {
  for (let index = values.length - 1; index >= 0; index--) {
    const value = values[index];
    if (value !== null && Number.isFinite(value)) {
      return value;
    }
  }
  return undefined;
}

function chartData(props: Chart.IProps): uPlot.AlignedData {
  return [props.x, ...props.series.map(line => line.values)];
}

function chartOptions(
  latest: { readonly current: Chart.IProps },
  node: HTMLElement,
  height: number
): uPlot.Options {
  const props = latest.current;
  const colors = readColors(node);
  const style = getComputedStyle(node);
  const font = `11px ${style.fontFamily || 'sans-serif'}`;
  const color = (line: Chart.ISeries, index: number) =>
    line.color?.startsWith('--')
      ? style.getPropertyValue(line.color).trim() ||
        colors.series[index % colors.series.length]
      : (line.color ?? colors.series[index % colors.series.length]);
  const last = new LastLabel(font, 8);
  const axis: uPlot.Axis = {
    show: !props.bare,
    stroke: colors.text,
    font,
    grid: { stroke: colors.grid, width: 1 },
    ticks: { show: false },
    gap: 4
  };
  return {
    width: node.clientWidth || 240,
    height,
    padding: props.bare ? [4, 0, 4, 0] : [8, last.padding, 0, 0],
    legend: { show: false },
    cursor: { points: { size: 6 }, drag: { x: false, y: false } },
    scales: {
      x: { time: props.xTime ?? false },
      y: props.range ? { range: props.range } : {}
    },
    axes: [
      { ...axis, size: last.size(22), space: 50 },
      {
        ...axis,
        size: 46,
        space: 28,
        values: (_, ticks) => ticks.map(props.format ?? formatNumber)
      }
    ],
    hooks: {
      draw: [plot => drawMarks(plot, latest.current.marks ?? [], colors.error)]
    },
    series: [
      {},
      ...props.series.map((line, index) => ({
        label: line.label,
        stroke: color(line, index),
        width: 1.5,
        spanGaps: true,
        points: { show: (plot: uPlot) => plot.data[0].length < 2, size: 5 }
      }))
    ]
  };
}
