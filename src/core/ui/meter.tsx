import * as React from 'react';

/** A usage meter: a name, a bar and the value as text. */
export function Meter(props: Meter.IProps): React.ReactElement {
  const { label, value, max, text, children } = props;
  const share = max > 0 ? Math.min(1, Math.max(0, value / max)) : 0;
  const level = !props.scarce
    ? 'normal'
    : share >= 0.95
      ? 'full'
      : share >= 0.85
        ? 'high'
        : 'normal';
  return (
    <div className={`gol-Meter gol-mod-${level}`} title={props.caption}>
      <span className="gol-Meter-label">{label}</span>
      {children}
      <span className="gol-Meter-text">{text}</span>
      <span
        className="gol-Meter-bar"
        role="meter"
        aria-label={label}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.round(share * 100)}
        aria-valuetext={text}
      >
        <span style={{ width: `${(share * 100).toFixed(1)}%` }} />
      </span>
    </div>
  );
}

export namespace Meter {
  export interface IProps {
    label: string;
    value: number;
    /** Value of a full bar, in the unit of `value`. */
    max: number;
    /** The value as text: `3.1 / 7.8 GiB`. */
    text: string;
    caption?: string;
    /** Whether a full bar means that work fails (memory, disk): the bar then warns. */
    scarce?: boolean;
    /** Between label and text, such as a sparkline. */
    children?: React.ReactNode;
  }
}
