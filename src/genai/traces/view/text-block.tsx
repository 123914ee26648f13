import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { ActionButton, CopyButton } from '../../../core';
import type { IText } from '../service';

/** A text of a trace, as it is; JSON and code in a fixed-width font. */
export function TextBlock(props: TextBlock.IProps): React.ReactElement {
  const { text, code = false, onMore, trans } = props;
  const Block = code || text.is_json ? 'pre' : 'div';
  return (
    <div className="gol-TraceText">
      <Block
        className="gol-TraceText-text"
        // A long text scrolls by itself, so the keyboard must reach it.
        tabIndex={text.text.length > LONG ? 0 : undefined}
      >
        {text.text}
      </Block>
      <CopyButton
        text={text.text}
        label={trans.__('Copy this text')}
        trans={trans}
      />
      {text.is_cut && (
        <p className="gol-Note">
          {trans.__(
            'The first %1 of %2 characters.',
            text.text.length.toLocaleString(),
            text.characters.toLocaleString()
          )}{' '}
          <ActionButton label={trans.__('Show all')} onClick={onMore} />
        </p>
      )}
    </div>
  );
}

/** Characters from which on a text may be higher than its box. */
const LONG = 800;

export namespace TextBlock {
  export interface IProps {
    text: IText;
    /** Whether the text is code, JSON or not. */
    code?: boolean;
    /** Fetch the whole text. */
    onMore: () => void;
    trans: TranslationBundle;
  }
}
