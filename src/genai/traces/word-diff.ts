/** The words in which two texts differ. */
import { diffLines, diffWordsWithSpace } from 'diff';

import type { IChatTurn, ISpanContent } from './service';

/** A part of a text; `changed` if the other text differs. */
export interface IDiffPart {
  readonly text: string;
  readonly changed: boolean;
}

/** Characters of both texts up to which words are compared; longer texts are compared by line. */
const MOST_WORDS = 20_000;
/** Time after which a comparison gives up, in ms: both texts then count as changed. */
const TIMEOUT_MS = 500;

/** Return both texts in parts. */
export function wordDiff(
  before: string,
  after: string
): [IDiffPart[], IDiffPart[]] {
  const options = { timeout: TIMEOUT_MS };
  const found =
    before.length + after.length > MOST_WORDS
      ? diffLines(before, after, options)
      : diffWordsWithSpace(before, after, options);
  if (!found) {
    return [
      [{ text: before, changed: true }],
      [{ text: after, changed: true }]
    ];
  }
  const side = (skipped: 'added' | 'removed', marked: 'added' | 'removed') =>
    found
      .filter(part => !part[skipped])
      .map(part => ({ text: part.value, changed: Boolean(part[marked]) }));
  return [side('added', 'removed'), side('removed', 'added')];
}

/** What a span was asked and what it answered, as two texts to compare. */
export function textsOf(content: ISpanContent): {
  asked: string;
  answered: string;
} {
  const { turns, inputs, outputs } = content;
  if (turns.length === 0) {
    return { asked: inputs?.text ?? '', answered: outputs?.text ?? '' };
  }
  return {
    asked: joined(turns.filter(({ is_answer }) => !is_answer)),
    answered: joined(turns.filter(({ is_answer }) => is_answer))
  };
}

function joined(turns: readonly IChatTurn[]): string {
  return turns
    .map(({ role, text, tool_calls }) =>
      [
        `${role}: ${text.text}`,
        ...tool_calls.map(call => `${call.name}(${call.arguments.text})`)
      ].join('\n')
    )
    .join('\n\n');
}
