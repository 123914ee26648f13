import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { Disclosure } from '../../../core';
import { roleWord } from '../messages';
import type { IChatTurn } from '../service';

import { Pictures } from './pictures';
import { TextBlock } from './text-block';

/** A conversation: who said what, the calls of tools, pictures. Texts are shown as they are, never as HTML. */
export function Chat(props: Chat.IProps): React.ReactElement {
  const { turns, onMore, trans } = props;
  return (
    <ol className="gol-Turns" aria-label={props.label}>
      {turns.map((turn, at) => (
        <li
          key={at}
          className={`gol-Turns-turn ${turn.is_answer ? 'gol-mod-answer' : ''}`}
          data-role={turn.role}
        >
          <div className="gol-Turns-role">
            {roleWord(turn.role, trans)}
            {turn.is_answer && (
              <span className="gol-Chip">
                <span className="gol-Chip-text">{trans.__('answer')}</span>
              </span>
            )}
            {turn.call_id && (
              <code title={trans.__('The call that this turn answers')}>
                {turn.call_id}
              </code>
            )}
          </div>
          {turn.text.text && (
            <TextBlock text={turn.text} onMore={onMore} trans={trans} />
          )}
          {turn.tool_calls.map((call, place) => (
            <Disclosure
              key={place}
              initiallyOpen
              title={trans.__('Calls %1', call.name)}
              meta={call.call_id}
            >
              <TextBlock
                text={call.arguments}
                code
                onMore={onMore}
                trans={trans}
              />
            </Disclosure>
          ))}
          <Pictures pictures={turn.pictures} trans={trans} />
        </li>
      ))}
    </ol>
  );
}

export namespace Chat {
  export interface IProps {
    turns: readonly IChatTurn[];
    /** Read aloud: what the conversation is. */
    label: string;
    /** Fetch the whole texts. */
    onMore: () => void;
    trans: TranslationBundle;
  }
}
