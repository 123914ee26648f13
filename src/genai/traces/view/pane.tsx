import * as React from 'react';

/** What stands beside the table of traces. Escape closes it. */
export function Pane(props: {
  label: string;
  className?: string;
  onClose: () => void;
  children: React.ReactNode;
}): React.ReactElement {
  return (
    <section
      className={`gol-TracePane ${props.className ?? ''}`}
      aria-label={props.label}
      onKeyDown={event => {
        if (event.key === 'Escape' && !event.defaultPrevented) {
          event.stopPropagation();
          props.onClose();
        }
      }}
    >
      {props.children}
    </section>
  );
}
