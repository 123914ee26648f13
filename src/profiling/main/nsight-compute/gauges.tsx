import * as React from 'react';

import { percent } from './messages';

/** Something in percent of a whole. */
export interface IGauge {
  readonly id: string;
  readonly label: string;
  readonly pct: number;
  /** How it is drawn: in memory's colour, or smaller, as a part of it. */
  readonly look?: 'memory' | 'level';
  /** What else is said of it, at the end of its row. */
  readonly note?: string;
  /** In place of the part in percent. */
  readonly text?: string;
  /** A mark on the bar, in percent: what can be reached at most. */
  readonly most?: number;
  /** Below the row. */
  readonly means?: string;
}

/** Bars in percent with their words, which say the same without the bars. */
export function Gauges(props: {
  label: string;
  gauges: readonly IGauge[];
}): React.ReactElement {
  return (
    <ul className="gol-Gauges" aria-label={props.label}>
      {props.gauges.map(gauge => (
        <li key={gauge.id} className={gauge.look && `gol-mod-${gauge.look}`}>
          <span className="gol-Gauges-label">{gauge.label}</span>
          <span className="gol-Gauges-text">
            {gauge.text ?? percent(gauge.pct)}
            {gauge.note && (
              <span className="gol-Profile-quiet"> {gauge.note}</span>
            )}
          </span>
          <span className="gol-Gauges-bar" aria-hidden="true">
            <span style={{ width: `${inside(gauge.pct)}%` }} />
            {gauge.most !== undefined && (
              <i style={{ left: `${inside(gauge.most)}%` }} />
            )}
          </span>
          {gauge.means && <p className="gol-Profile-quiet">{gauge.means}</p>}
        </li>
      ))}
    </ul>
  );
}

function inside(pct: number): number {
  return Math.min(100, Math.max(0, pct));
}
