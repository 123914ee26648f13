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
  /** Classes beside `gol-Facts`. */
  className?: string;
  facts: readonly (readonly [name: string, value: React.ReactNode] | null)[];
}): React.ReactElement {
  return (
    <dl className={`gol-Facts ${props.className ?? ''}`}>
      {props.facts.map(
        fact =>
          fact && (
            <div key={fact[0]} className="gol-Facts-row">
              <dt>{fact[0]}</dt>
              <dd>{fact[1]}</dd>
            </div>
          )
      )}
    </dl>
  );
}
