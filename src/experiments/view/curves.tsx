import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { ActionButton, Chart, DownState } from '../../core';
import { lineColor } from '../../core/charts/look';
import type { IDivergence } from '../diverged';
import { DIVERGED, divergences } from '../diverged';
import type { ExperimentsModel } from '../model';
import { isRunning } from '../model';
import { chartGroups } from '../metric-choice';
import { placed } from '../series';
import type { IRun, ISeries } from '../service';

import { useCurves } from './hooks';
import { metricText } from './messages';

/** Charts that are drawn before the user asks for more. */
const FIRST = 6;
const AXIS_KINDS = {
  step: 'linear',
  seconds: 'duration',
  time: 'time'
} as const;

/**
 * A small chart for each metric of a run; training and validation share one.
 */
export function Curves(props: Curves.IProps): React.ReactElement | null {
  const { run, model, trans, most } = props;
  const [all, setAll] = React.useState(false);
  const live = useCurves(model, run);
  const { runCurves, curves } = live ?? {};
  const series = props.system ? curves?.system : curves?.series;
  const running = isRunning(run);
  const groups = React.useMemo(
    () => grouped(series ?? [], running),
    [series, running]
  );
  if (!runCurves) {
    return null;
  }
  if (runCurves.resource.error && groups.length === 0) {
    return (
      <DownState
        what={trans.__('The metrics cannot be read.')}
        error={runCurves.resource.error}
        busy={runCurves.resource.snapshot.busy}
        trans={trans}
        onRetry={() => void runCurves.resource.refresh()}
      />
    );
  }
  if (groups.length === 0) {
    return runCurves.isLoaded && series?.length === 0 ? (
      <p className="gol-Run-quiet">
        {runCurves.ended
          ? trans.__('This run logged no metrics.')
          : trans.__('Metrics appear here as they are logged.')}
      </p>
    ) : null;
  }
  const diverged = divergences(run.tags[DIVERGED]);
  const shown = groups.slice(0, most ?? (all ? groups.length : FIRST));
  return (
    <div className="gol-Curves">
      {shown.map(([name, lines]) => (
        <Curve
          key={name}
          name={name}
          lines={lines}
          small={props.system}
          diverged={diverged}
          trans={trans}
        />
      ))}
      {most === undefined && shown.length < groups.length && (
        <ActionButton
          label={trans._n(
            'Show %1 more chart',
            'Show %1 more charts',
            groups.length - shown.length
          )}
          onClick={() => setAll(true)}
        />
      )}
    </div>
  );
}

export namespace Curves {
  export interface IProps {
    run: IRun;
    model: ExperimentsModel;
    trans: TranslationBundle;
    /** Draw this many and offer no more. */
    most?: number;
    /** The machine's metrics, over time, instead of the run's own. */
    system?: boolean;
  }
}

const Curve = React.memo(function Curve(props: {
  name: string;
  lines: ISeries[];
  small?: boolean;
  diverged: readonly IDivergence[];
  trans: TranslationBundle;
}): React.ReactElement {
  const { name, lines, small, trans } = props;
  const { places, axis } = placed(lines, small ? 'time' : 'step');
  const bad = lines.map(line =>
    props.diverged.find(each => each.metric === line.key)
  );
  const own = lines.length === 1 ? lines[0].key : name;
  const title = own.replace(/^system\//, '').replace(small ? /_/g : /$^/, ' ');
  return (
    <figure className="gol-Curve">
      <figcaption className="gol-Curve-caption">
        <span className="gol-Curve-name" title={own}>
          {title}
        </span>
        {lines.map((line, index) => (
          <span key={line.key} className="gol-Curve-last" title={line.key}>
            <span
              className="gol-Curve-swatch"
              style={{ background: lineColor(index) }}
              aria-hidden="true"
            />
            {lines.length > 1 && `${variant(line.key, name)} `}
            <Last
              value={line.values[line.values.length - 1]}
              diverged={bad[index]}
            />
          </span>
        ))}
      </figcaption>
      <Chart
        label={
          axis === 'step'
            ? trans.__('%1 by step', title)
            : trans.__('%1 over time', title)
        }
        x={AXIS_KINDS[axis]}
        bare={small}
        height={small ? 36 : 96}
        marks={
          axis === 'step'
            ? bad.flatMap(each =>
                each ? [{ x: each.step, label: each.value }] : []
              )
            : undefined
        }
        lines={lines.map(({ key, values }, index) => ({
          label: key,
          x: places[index],
          y: values
        }))}
      />
    </figure>
  );
});

/** The last value; in red if it is NaN or infinite. */
function Last(props: {
  value: number | null | undefined;
  diverged: IDivergence | undefined;
}): React.ReactElement {
  const { value, diverged } = props;
  return diverged && typeof value !== 'number' ? (
    <span className="gol-Curve-bad">{diverged.value}</span>
  ) : (
    <>{metricText(value)}</>
  );
}

/**
 * Return the part that distinguishes metrics of one chart: `val` of `val_loss`.
 */
function variant(key: string, group: string): string {
  return key === group ? key : key.replace(group, '').replace(/[_/.-]/g, '');
}

/**
 * Group histories by chart. A single value is not a curve, unless more may
 * come.
 */
function grouped(
  series: readonly ISeries[],
  running: boolean
): [string, ISeries[]][] {
  const byKey = new Map(
    series
      .filter(({ steps }) => running || steps.length > 1)
      .map(one => [one.key, one])
  );
  return chartGroups([...byKey.keys()]).map(([name, keys]) => [
    name,
    keys.map(key => byKey.get(key)!)
  ]);
}
