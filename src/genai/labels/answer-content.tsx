import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { Pictures } from '../traces/view/pictures';

import type { ILabelContent } from './model';

/** What a rater reads: the turns, the answer or the two of a pair, and what is expected. */
export function AnswerContent(props: {
  content: ILabelContent;
  trans: TranslationBundle;
}): React.ReactElement {
  const { content, trans } = props;
  const { answer, other } = content;
  const answers =
    typeof other === 'string'
      ? [
          [trans.__('First answer'), answer],
          [trans.__('Second answer'), other]
        ]
      : [[trans.__('Answer'), answer]];
  return (
    <>
      {content.turns.map(({ role, text, pictures }, at) => (
        <div key={at} className="gol-Labels-turn">
          <h3>{role}</h3>
          <p>{text}</p>
          <Pictures pictures={pictures ?? []} trans={trans} />
        </div>
      ))}
      <div className="gol-Labels-answers">
        {answers.map(([title, text]) => (
          <div key={title} className="gol-Labels-turn gol-mod-answer">
            <h3>{title}</h3>
            <p>{text || trans.__('The answer is empty.')}</p>
          </div>
        ))}
      </div>
      {Object.entries(content.expected ?? {}).map(([name, text]) => (
        <div key={name} className="gol-Labels-turn">
          <h3>
            {name === 'expected'
              ? trans.__('Expected')
              : trans.__('Expected: %1', name)}
          </h3>
          <p>{text}</p>
        </div>
      ))}
    </>
  );
}
