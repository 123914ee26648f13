import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

/** Distance from the end, in pixels, within which the view follows new lines. */
const NEAR_PX = 24;

/** The end of a log; follows new lines unless the user scrolled up. */
export function LogTail(props: LogTail.IProps): React.ReactElement {
  const { lines, label, trans } = props;
  const node = React.useRef<HTMLPreElement>(null);
  const follows = React.useRef(true);
  React.useLayoutEffect(() => {
    if (node.current && follows.current) {
      node.current.scrollTop = node.current.scrollHeight;
    }
  }, [lines]);
  return (
    <pre
      ref={node}
      className="gol-LogTail"
      role="log"
      aria-label={label}
      tabIndex={0}
      onScroll={({ currentTarget }) => {
        const { scrollHeight, scrollTop, clientHeight } = currentTarget;
        follows.current = scrollHeight - scrollTop - clientHeight < NEAR_PX;
      }}
    >
      {lines === undefined
        ? trans.__('Loading…')
        : lines.join('\n') || trans.__('The log is empty.')}
    </pre>
  );
}

export namespace LogTail {
  export interface IProps {
    /** Undefined until the lines are loaded. */
    lines: readonly string[] | undefined;
    label: string;
    trans: TranslationBundle;
  }
}
