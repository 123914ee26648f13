/**
 * Draws one small chart of a run's metrics, for the widgets that travel with a
 * message.
 */
import type { IMark } from '../../../core/charts/line-chart';
import { LineChart } from '../../../core/charts/line-chart';
import { lineColor } from '../../../core/charts/look';
import { formatNumber } from '../../../core/format';
import { bestByName } from '../../../core/metric-names';

import { make } from './dom';

export interface ISeries {
  steps: number[];
  values: (number | null)[];
}

const PLOT_HEIGHT = 104;
const NO_SERIES: ISeries = { steps: [], values: [] };

/** Return the last step that has a value, and the value. */
export function lastOf(
  series: ISeries | undefined
): [number, number] | undefined {
  const { steps, values } = series ?? NO_SERIES;
  let last: [number, number] | undefined;
  values.forEach((value, at) => {
    if (Number.isFinite(value) && !(last && steps[at] < last[0])) {
      last = [steps[at], value as number];
    }
  });
  return last;
}

/**
 * Return a metric's NaN or infinity and its first step; undefined while its
 * last value is finite.
 */
export function divergedNow(
  series: ISeries | undefined,
  words: string | undefined
): { value: string; step: number } | undefined {
  const [, value, step] = /^(\S+) since step (-?\d+)$/.exec(words ?? '') ?? [];
  const { steps, values } = series ?? NO_SERIES;
  const end = steps.reduce((a, b) => Math.max(a, b), -Infinity);
  return value && !Number.isFinite(values[steps.lastIndexOf(end)])
    ? { value, step: Number(step) }
    : undefined;
}

/**
 * Return "max 0.9": the best value if the metric's name says which is best;
 * empty if it is the last.
 */
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
    _metrics.forEach((metric, place) => {
      const key = make('span', 'gol-run-key');
      const swatch = make('span', 'gol-run-swatch');
      swatch.style.borderTopColor = lineColor(place);
      const value = make('span', 'gol-run-value');
      const best = make('span', 'gol-run-best gol-view-muted');
      key.append(
        swatch,
        make('span', '', metric.replace(/^system\//, '')),
        value,
        best
      );
      legend.append(key);
      this._keys.push({ value, best });
    });
    this._plotNode = make('div', 'gol-run-plot');
    this._plotNode.setAttribute('role', 'img');
    this.node.append(legend, this._plotNode);
    this._chart = new LineChart(this._plotNode, PLOT_HEIGHT);
  }

  readonly node: HTMLElement;

  /** `diverged`: "NaN since step 3", by metric. */
  update(
    series: Record<string, ISeries>,
    diverged: Record<string, string> = {}
  ): void {
    const marks: IMark[] = [];
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
        marks.push({ x: bad.step, label: bad.value });
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
    this._chart.update({
      lines: this._metrics.map(metric => {
        const { steps, values } = series[metric] ?? NO_SERIES;
        return { label: metric, x: steps, y: values };
      }),
      marks
    });
  }

  dispose(): void {
    this._chart.dispose();
  }

  private _group: string;
  private _keys: Record<'value' | 'best', HTMLElement>[] = [];
  private _plotNode: HTMLElement;
  private _chart: LineChart;
}
