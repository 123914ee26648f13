/** One small chart of a run's metrics, for the widgets that travel with a message. */
import uPlot from 'uplot';

import type { IMark } from '../../../core/chart-marks';
import { drawMarks } from '../../../core/chart-marks';
import { LastLabel } from '../../../core/last-label';
import { bestByName } from '../../../core/metric-names';
import { formatNumber, readColors } from '../../../core/palette';

import { make } from './dom';

export interface ISeries {
  steps: number[];
  values: (number | null)[];
}

const PLOT_HEIGHT = 104;

function clean(series: ISeries | undefined): [number[], (number | null)[]] {
  const points = (series?.steps ?? []).map(
    (step, index): [number, number | null] => {
      const value = series?.values[index];
      return [
        step,
        typeof value === 'number' && Number.isFinite(value) ? value : null
      ];
    }
  );
  // uPlot wants x in order; equal steps keep the last value.
  const byStep = new Map(points.filter(([step]) => Number.isFinite(step)));
  const sorted = [...byStep].sort(([a], [b]) => a - b);
  return [sorted.map(([step]) => step), sorted.map(([, value]) => value)];
}

/** The last step that has a value, and the value. */
export function lastOf(
  series: ISeries | undefined
): [number, number] | undefined {
  const [steps, values] = clean(series);
  for (let index = values.length - 1; index >= 0; index--) {
    const value = values[index];
    if (value !== null) {
      return [steps[index], value];
    }
  }
  return undefined;
}

/** Since which step a metric is no number, and what it is; none while its last value is a number. */
export function divergedNow(
  series: ISeries | undefined,
  words: string | undefined
): { value: string; step: number } | undefined {
  const [, value, step] = /^(\S+) since step (-?\d+)$/.exec(words ?? '') ?? [];
  const [, values] = clean(series);
  return value && values[values.length - 1] === null
    ? { value, step: Number(step) }
    : undefined;
}

/** "max 0.9": the best value where the metric's name tells which that is, empty where it is the last one. */
export function bestOf(metric: string, series: ISeries | undefined): string {
  const which = bestByName(metric);
  const values = (series?.values ?? []).filter(Number.isFinite) as number[];
  if (!which || values.length === 0) {
    return '';
  }
  const best = formatNumber(values.reduce((a, b) => Math[which](a, b)));
  const last = lastOf(series);
  return last && best === formatNumber(last[1]) ? '' : `${which} ${best}`;
}

/** One small chart: its legend with the latest values, and its lines. */
export class SmallChart {
  constructor(
    group: string,
    private _metrics: string[]
  ) {
    this.node = make('figure', 'gol-run-chart');
    this._group = group;
    const legend = make('figcaption', 'gol-run-legend');
    for (const metric of _metrics) {
      const key = make('span', 'gol-run-key');
      const swatch = make('span', 'gol-run-swatch');
      const value = make('span', 'gol-run-value');
      const best = make('span', 'gol-run-best gol-run-muted');
      key.append(
        swatch,
        make('span', '', metric.replace(/^system\//, '')),
        value,
        best
      );
      legend.append(key);
      this._keys.push({ swatch, value, best });
    }
    this._plotNode = make('div', 'gol-run-plot');
    this._plotNode.setAttribute('role', 'img');
    this.node.append(legend, this._plotNode);
    this._resize =
      typeof ResizeObserver === 'undefined'
        ? null
        : new ResizeObserver(() => this._fit());
    this._resize?.observe(this._plotNode);
  }

  readonly node: HTMLElement;

  /** `diverged`: "NaN since step 3", by metric. */
  update(
    series: Record<string, ISeries>,
    diverged: Record<string, string> = {}
  ): void {
    this._marks = [];
    const spoken = this._metrics.map((metric, index) => {
      const bad = divergedNow(series[metric], diverged[metric]);
      const last = lastOf(series[metric]);
      const text = bad?.value ?? (last ? formatNumber(last[1]) : '');
      const { value, best } = this._keys[index];
      value.textContent = text;
      const other = bestOf(metric, series[metric]);
      best.textContent = other;
      const also = other && `, ${other}`;
      value.classList.toggle('gol-run-bad', bad !== undefined);
      if (bad) {
        this._marks.push({ x: bad.step, label: bad.value });
        return `${metric} ${text} since step ${formatNumber(bad.step)}${also}`;
      }
      return last
        ? `${metric} ${text} at step ${formatNumber(last[0])}${also}`
        : `${metric}: no value`;
    });
    this._plotNode.setAttribute(
      'aria-label',
      `Chart of ${this._group}: ${spoken.join(', ')}`
    );
    const tables = this._metrics.map(
      metric => clean(series[metric]) as uPlot.AlignedData
    );
    this._data = tables.length > 1 ? uPlot.join(tables) : tables[0];
    if (this._plot) {
      this._plot.setData(this._data);
    } else {
      this._fit();
    }
  }

  /** Draw again in the colours of now. */
  restyle(): void {
    this._plot?.destroy();
    this._plot = null;
    this._fit();
  }

  dispose(): void {
    this._resize?.disconnect();
    this._plot?.destroy();
    this._plot = null;
    this._data = null;
  }

  private _fit(): void {
    const width = this._plotNode.clientWidth;
    if (!this._data || width === 0) {
      return;
    }
    if (this._plot) {
      if (this._plot.width !== width) {
        this._plot.setSize({ width, height: PLOT_HEIGHT });
      }
      return;
    }
    const colors = readColors(this._plotNode);
    const style = getComputedStyle(this._plotNode);
    const font = `10px ${style.fontFamily || 'sans-serif'}`;
    const last = new LastLabel(font, 6);
    const axis: uPlot.Axis = {
      stroke: colors.text,
      font,
      grid: { stroke: colors.grid, width: 1 },
      ticks: { show: false },
      gap: 3
    };
    this._keys.forEach(({ swatch }, index) => {
      swatch.style.borderTopColor = colors.series[index % colors.series.length];
    });
    this._plot = new uPlot(
      {
        width,
        height: PLOT_HEIGHT,
        padding: [6, last.padding, 0, 0],
        legend: { show: false },
        cursor: { drag: { x: false, y: false }, points: { size: 5 } },
        scales: {
          x: {
            time: false,
            // One point stands in the middle.
            range: (plot, min, max) => {
              const x = plot.data[0];
              return x.length === 1 ? [x[0] - 1, x[0] + 1] : [min, max];
            }
          }
        },
        axes: [
          { ...axis, size: last.size(18), space: 50 },
          {
            ...axis,
            size: 42,
            space: 24,
            values: (_, ticks) => ticks.map(formatNumber)
          }
        ],
        hooks: {
          draw: [plot => drawMarks(plot, this._marks, colors.error)]
        },
        series: [
          {},
          ...this._metrics.map((metric, index) => ({
            label: metric,
            stroke: colors.series[index % colors.series.length],
            width: 1.5,
            spanGaps: true,
            points: { show: (plot: uPlot) => plot.data[0].length < 2, size: 5 }
          }))
        ]
      },
      this._data,
      this._plotNode
    );
  }

  private _group: string;
  private _keys: Record<'swatch' | 'value' | 'best', HTMLElement>[] = [];
  private _plotNode: HTMLElement;
  private _plot: uPlot | null = null;
  private _marks: IMark[] = [];
  private _data: uPlot.AlignedData | null = null;
  private _resize: ResizeObserver | null;
}
