import * as React from 'react';

import { formatMicroseconds, formatShare } from '../figures';
import type { ITimePart } from '../model';

/** Time in parts of one bar; below it each part with its name and share in words. */
export function TimeBar(props: TimeBar.IProps): React.ReactElement {
  const { label, span, parts } = props;
  const total = parts.reduce((sum, part) => sum + part.us, 0) || span;
  const words = parts.map(
    part => `${part.label} ${formatShare(part.us, total)}`
  );
  return (
    <div className="gol-TimeBar">
      <div className="gol-TimeBar-head">
        <span className="gol-TimeBar-label" title={label}>
          {label}
        </span>
        <span>{formatMicroseconds(span)}</span>
      </div>
      <div
        className="gol-TimeBar-bar"
        role="img"
        aria-label={`${label}: ${words.join(', ')}`}
      >
        {parts.map(part => (
          <span
            key={part.id}
            className={`gol-mod-${part.id}`}
            style={{ flexGrow: total > 0 ? part.us / total : 0 }}
            title={`${part.label}: ${formatMicroseconds(part.us)}`}
          />
        ))}
      </div>
      <ul className="gol-TimeBar-legend" aria-hidden="true">
        {parts.map((part, index) => (
          <li key={part.id} title={formatMicroseconds(part.us)}>
            <span className={`gol-TimeBar-key gol-mod-${part.id}`} />
            {words[index]}
          </li>
        ))}
      </ul>
    </div>
  );
}

export namespace TimeBar {
  export interface IProps {
    /** Whose time it is. */
    label: string;
    /** From the first start to the last end, in microseconds. */
    span: number;
    parts: readonly ITimePart[];
  }
}
