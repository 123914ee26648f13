import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { formatNumber } from '../../../core/format';
import type { MediaModel } from '../model';
import { HEIGHT, WIDTH, ridges } from '../ridges';
import type { IHistogramRow, IHistograms } from '../service';
import { placeAt } from '../steps';

import { useFetched, useSeen } from './hooks';

/**
 * The distribution of one name, step by step: the latest in front, the chosen
 * step drawn strongly.
 */
export function Histograms(props: Histograms.IProps): React.ReactElement {
  const { runId, name, label, model, version, domain, onLoad, trans } = props;
  const [ref, seen] = useSeen();
  const fetch = React.useCallback(
    (signal: AbortSignal) => model.histograms(runId, name, signal),
    // A running run has more histograms with each version of its list.
    [model, runId, name, version]
  );
  const loaded = useFetched(
    seen,
    fetch,
    trans.__('These histograms cannot be read.')
  );
  const found = loaded.state === 'ready' ? loaded.value : null;
  React.useEffect(() => {
    if (found) {
      onLoad(runId, [found.low, found.high]);
    }
  }, [found, onLoad, runId]);
  return (
    <div ref={ref} className="gol-Media-histograms">
      {loaded.state === 'failed' && (
        <p className="gol-Field-error">{loaded.why}</p>
      )}
      {found && (
        <Ridges
          found={found}
          step={props.step}
          domain={domain ?? [found.low, found.high]}
          label={label}
          trans={trans}
        />
      )}
    </div>
  );
}

export namespace Histograms {
  export interface IProps {
    runId: string;
    name: string;
    /** A label for screen readers. */
    label: string;
    step: number;
    model: MediaModel;
    /** Another object when there may be more. */
    version: object | undefined;
    /** The range of the drawing; default: the logged values. */
    domain?: readonly [number, number];
    onLoad: (runId: string, reach: readonly [number, number]) => void;
    trans: TranslationBundle;
  }
}

function Ridges(props: {
  found: IHistograms;
  step: number;
  domain: readonly [number, number];
  label: string;
  trans: TranslationBundle;
}): React.ReactElement {
  const { found, step, domain, label, trans } = props;
  const place = placeAt(found.rows, step);
  const row: IHistogramRow | undefined = found.rows[place];
  const lines = React.useMemo(
    () => ridges(found, place, domain),
    [found, place, domain[0], domain[1]]
  );
  const summary = row ? summaryOf(row, trans) : '';
  return (
    <>
      <svg
        className="gol-Media-ridges"
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`${label}: ${summary}`}
      >
        {lines.map(({ place: each, path }) => (
          <path
            key={each}
            d={path}
            vectorEffect="non-scaling-stroke"
            className={each === place ? 'gol-mod-current' : undefined}
          />
        ))}
      </svg>
      <div className="gol-Media-axis" aria-hidden="true">
        <span>{formatNumber(domain[0])}</span>
        <span>{formatNumber(domain[1])}</span>
      </div>
      <p className="gol-Media-quiet">
        {summary}
        {found.logged > found.rows.length &&
          ` ${trans.__('%1 of %2 steps are drawn.', found.rows.length, found.logged)}`}
      </p>
    </>
  );
}

function summaryOf(row: IHistogramRow, trans: TranslationBundle): string {
  const step = trans.__('step %1', row.step);
  const values =
    row.finite > 0
      ? trans._n(
          '%2 value, %3',
          '%2 values from %3 to %4',
          row.finite,
          row.finite.toLocaleString(),
          formatNumber(row.low),
          formatNumber(row.high)
        )
      : trans.__('no finite value');
  const odd = [
    row.nan ? `${row.nan.toLocaleString()} NaN` : '',
    row.infinite ? trans.__('%1 infinite', row.infinite.toLocaleString()) : ''
  ].filter(Boolean);
  return [step, values, ...odd].join(' · ');
}
