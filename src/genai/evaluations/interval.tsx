import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { Scale } from './figures';
import { estimateText, placeOf } from './figures';
import type { IEstimate } from './service';

import '../../../style/genai/interval.css';

/** A number with its 95 % interval: a bar on an axis that all rows share, and the figures as text. */
export function Interval(props: {
  estimate: IEstimate;
  scale: Scale;
  /** Whether the number is a difference, with a line at 0. */
  isDifference?: boolean;
  /** What the number is, with its interval; default: a mean of examples. */
  caption?: string;
  trans: TranslationBundle;
}): React.ReactElement {
  const { estimate, scale, isDifference, caption, trans } = props;
  const { value, n } = estimate;
  const low = placeOf(estimate.low ?? scale[0], scale);
  const high = placeOf(estimate.high ?? scale[1], scale);
  return (
    <span
      className="gol-Interval"
      title={
        caption ??
        trans._n(
          'Mean of %1 example, with its 95 % interval',
          'Mean of %1 examples, with its 95 % interval',
          n
        )
      }
    >
      <span className="gol-Interval-axis" aria-hidden="true">
        {isDifference && <span className="gol-Interval-zero" />}
        {value !== null && (
          <>
            <span
              className="gol-Interval-bar"
              style={{ insetInlineStart: `${low}%`, width: `${high - low}%` }}
            />
            <span
              className="gol-Interval-mean"
              style={{ insetInlineStart: `${placeOf(value, scale)}%` }}
            />
          </>
        )}
      </span>
      <span className="gol-Interval-text">
        {estimateText(estimate, trans, isDifference)}
      </span>
    </span>
  );
}
