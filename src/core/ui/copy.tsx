import type { TranslationBundle } from '@jupyterlab/translation';
import { Clipboard } from '@jupyterlab/apputils';
import { checkIcon, copyIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { tellFailure } from '../commands';
import { ActionButton, IconButton } from './icon-button';

const SHOWN_MS = 1500;

/** Whether a text was copied a moment ago, and the function that copies. */
export function useCopied(): [boolean, (text: string) => void] {
  const [copied, setCopied] = React.useState(false);
  const timer = React.useRef<number>();
  React.useEffect(() => () => window.clearTimeout(timer.current), []);
  const copy = React.useCallback((text: string) => {
    Clipboard.copyToSystem(text);
    setCopied(true);
    window.clearTimeout(timer.current);
    timer.current = window.setTimeout(() => setCopied(false), SHOWN_MS);
  }, []);
  return [copied, copy];
}

/** A button that copies a text and confirms it: an icon, or `word` if given. */
export function CopyButton(props: CopyButton.IProps): React.ReactElement {
  const { text, label, word, trans } = props;
  const [copied, copy] = useCopied();
  const onClick = () => {
    const found = typeof text === 'function' ? text() : text;
    if (typeof found === 'string') {
      copy(found);
    } else {
      found.then(copy, reason => tellFailure(reason, trans));
    }
  };
  return (
    <>
      {word ? (
        <ActionButton
          label={copied ? trans.__('Copied') : word}
          caption={label}
          onClick={onClick}
        />
      ) : (
        <IconButton
          icon={copied ? checkIcon : copyIcon}
          label={copied ? trans.__('Copied') : label}
          className="gol-CopyButton"
          onClick={onClick}
        />
      )}
      <span className="gol-VisuallyHidden" role="status">
        {copied ? trans.__('Copied') : ''}
      </span>
    </>
  );
}

export namespace CopyButton {
  export interface IProps {
    /** The text; a function for a text that is secret or fetched first. */
    text: string | (() => string | Promise<string>);
    /** "Copy the run id". */
    label: string;
    /** Text of the button, in place of an icon. */
    word?: string;
    trans: TranslationBundle;
  }
}

/** The first characters of an id, with a button that copies all of it. */
export function ShortId(props: ShortId.IProps): React.ReactElement {
  const { id, label, trans, length = 8 } = props;
  return (
    <span className="gol-ShortId">
      <code title={id}>{id.slice(0, length)}</code>
      <CopyButton text={id} label={label} trans={trans} />
    </span>
  );
}

export namespace ShortId {
  export interface IProps {
    id: string;
    /** Label of the button: "Copy the run id". */
    label: string;
    trans: TranslationBundle;
    length?: number;
  }
}
