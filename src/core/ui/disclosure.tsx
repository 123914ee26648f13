import { caretRightIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

/**
 * A row that opens: a caret, a title that is cut if it is too long, and details at
 * the end of the row. The content is rendered only while the row is open.
 */
export function Disclosure(props: Disclosure.IProps): React.ReactElement {
  const { title, tip, meta, children } = props;
  const id = React.useId();
  const [own, setOwn] = React.useState(props.initiallyOpen ?? false);
  const open = props.open ?? own;
  return (
    <div className={`gol-Disclosure ${open ? 'gol-mod-open' : ''}`}>
      <button
        type="button"
        className="gol-Disclosure-toggle"
        aria-expanded={open}
        aria-controls={open ? id : undefined}
        title={tip}
        onClick={() => {
          setOwn(!open);
          props.onToggle?.(!open);
        }}
      >
        <caretRightIcon.react
          tag="span"
          className="gol-Icon gol-Disclosure-caret"
        />
        <span className="gol-Disclosure-title">{title}</span>
        {meta && <span className="gol-Disclosure-meta">{meta}</span>}
      </button>
      {open && (
        <div className="gol-Disclosure-body" id={id}>
          {children}
        </div>
      )}
    </div>
  );
}

export namespace Disclosure {
  export interface IProps {
    title: React.ReactNode;
    /** Tooltip with the whole title. */
    tip?: string;
    /** Small things at the end of the row: a state, an age. */
    meta?: React.ReactNode;
    initiallyOpen?: boolean;
    /** Set by an owner that keeps the state itself. */
    open?: boolean;
    onToggle?: (open: boolean) => void;
    children: React.ReactNode;
  }
}

/** A list of names and values, one pair on each row. */
export function Facts(props: {
  /** A fact may have a tooltip, and a class for its value. */
  facts: readonly (
    | readonly [
        name: string,
        value: React.ReactNode,
        look?: { caption?: string; className?: string }
      ]
    | null
  )[];
  /** Class in place of `gol-Facts`; a row has the first one with `-row` behind. */
  className?: string;
}): React.ReactElement {
  const { facts, className = 'gol-Facts' } = props;
  return (
    <dl className={className}>
      {facts.map(
        (fact, at) =>
          fact && (
            <div
              key={`${at} ${fact[0]}`}
              className={`${className.split(' ')[0]}-row`}
              title={fact[2]?.caption}
            >
              <dt>{fact[0]}</dt>
              <dd className={fact[2]?.className}>{fact[1]}</dd>
            </div>
          )
      )}
    </dl>
  );
}
