import * as React from 'react';

import '../../../style/core/progress.css';

/** How much of a known amount is done: a bar, and the same as text beside it. */
export function Progress(props: {
  /** What is counted; read aloud. */
  label: string;
  done: number;
  of: number;
  /** "7 of 30". */
  text: string;
}): React.ReactElement {
  const { label, done, of, text } = props;
  return (
    <span className="gol-Progress">
      <progress aria-label={label} value={done} max={Math.max(of, 1)} />
      <span>{text}</span>
    </span>
  );
}
