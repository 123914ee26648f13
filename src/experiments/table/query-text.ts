/**
 * Converts positions in a text: the server counts code points, the browser
 * UTF-16 units.
 */
import type { ApiError } from '../../core';

/** Return whether the query is wrong, so that a retry is useless. */
export function isOfQuery(error: ApiError): boolean {
  return error.code.startsWith('query');
}

/** Convert a position of the server to the browser's. */
export function unitsAt(text: string, points: number): number {
  return Array.from(text).slice(0, points).join('').length;
}

/** Convert a position of the browser to the server's. */
export function pointsAt(text: string, units: number): number {
  return Array.from(text.slice(0, units)).length;
}

/** Return a query with a completion in it, and the new place of the cursor. */
export function completed(
  text: string,
  completion: { text: string; start: number; end: number; kind: string }
): { text: string; cursor: number } {
  const begin = text.slice(0, unitsAt(text, completion.start));
  const rest = text.slice(unitsAt(text, completion.end));
  // A word is followed by a space, unless there is one.
  const gap = rest.startsWith(' ') || completion.text === '(' ? '' : ' ';
  const written = begin + completion.text + gap;
  return {
    text: written + rest,
    cursor: written.length + (gap || completion.text === '(' ? 0 : 1)
  };
}

const PREFIXES: Readonly<Record<string, string>> = {
  metric: 'metrics.',
  metrics: 'metrics.',
  param: 'params.',
  params: 'params.',
  parameter: 'params.',
  parameters: 'params.',
  tag: 'tags.',
  tags: 'tags.',
  attr: '',
  attribute: '',
  attributes: '',
  run: ''
};
const QUOTED = /"(?:[^"]|"")*"|'(?:[^']|'')*'|`(?:[^`]|``)*`/.source;
const PLAIN = /[^\s'"`(),=<>!~]+/.source;
const QUALIFIED = new RegExp(`^(\\w+)\\.(${QUOTED}|${PLAIN})$`);
const TOKEN = new RegExp(`\\w+\\.(?:${QUOTED})|${QUOTED}|${PLAIN}`, 'g');

/**
 * Return the columns that a query may name, in its order; a word of it may also
 * be a text.
 */
export function namesIn(query: string): string[] {
  return (query.match(TOKEN) ?? []).flatMap(token => {
    const [, prefix, key] = QUALIFIED.exec(token) ?? [];
    if (prefix === undefined) {
      return /^\w+$/.test(token) ? [token] : [];
    }
    const begin = PREFIXES[prefix.toLowerCase()];
    const quote = /^["'`]/.exec(key)?.[0];
    const name = quote
      ? key
          .slice(1, -1)
          .split(quote + quote)
          .join(quote)
      : key;
    return begin === undefined ? [] : [begin + name];
  });
}

/** Return the text around an error: before, the piece, after. */
export function around(
  text: string,
  position: number,
  length: number
): [string, string, string] {
  const begin = unitsAt(text, position);
  const end = unitsAt(text, position + length);
  return [text.slice(0, begin), text.slice(begin, end), text.slice(end)];
}
