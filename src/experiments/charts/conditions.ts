/** Turns a brush into a condition in the run table's query language. */

export type ICondition =
  | { readonly column: string; readonly low: number; readonly high: number }
  | { readonly column: string; readonly among: readonly string[] };

/** Return a column as a query names it. */
export function quotedColumn(column: string): string {
  const [, prefix, name] = /^(metrics|params|tags)\.(.*)$/s.exec(column) ?? [];
  if (!prefix) {
    return column;
  }
  return /^[A-Za-z_][\w/.-]*$/.test(name)
    ? column
    : name.includes('`')
      ? `${prefix}."${name}"`
      : `${prefix}.\`${name}\``;
}

/** Return a condition as text, with times in milliseconds. */
export function conditionText(condition: ICondition): string {
  const name = quotedColumn(condition.column);
  if ('among' in condition) {
    const words = condition.among.map(word => `'${word.replace(/'/g, "''")}'`);
    return words.length === 1
      ? `${name} = ${words[0]}`
      : `${name} IN (${words.join(', ')})`;
  }
  if (condition.low === condition.high) {
    return `${name} BETWEEN ${condition.low} AND ${condition.high}`;
  }
  const isTime = ['start_time', 'end_time'].includes(condition.column);
  const [low, high] = isTime
    ? [
        String(Math.floor(condition.low * 1000)),
        String(Math.ceil(condition.high * 1000))
      ]
    : [rounded(condition.low, Math.floor), rounded(condition.high, Math.ceil)];
  return `${name} BETWEEN ${low} AND ${high}`;
}

/** Round a drawn value to four digits, to the outside. */
function rounded(value: number, to: (value: number) => number): string {
  if (value === 0 || !Number.isFinite(value)) {
    return '0';
  }
  const size = 10 ** (3 - Math.floor(Math.log10(Math.abs(value))));
  const found = Number.isFinite(size) ? to(value * size) / size : value;
  return String(Number(found.toPrecision(12)));
}

/** Add a condition to a query. */
export function withCondition(query: string, text: string): string {
  const old = query.trim();
  if (!old) {
    return text;
  }
  return `${hasOpenOr(old) ? `(${old})` : old} AND ${text}`;
}

/** Return whether a query has an added condition. */
export function hasCondition(query: string, text: string): boolean {
  return (
    query === text ||
    query.endsWith(` AND ${text}`) ||
    query.startsWith(`${text} AND `) ||
    query.includes(` AND ${text} AND `)
  );
}

/** Remove an added condition from a query. */
export function withoutCondition(query: string, text: string): string {
  if (query === text) {
    return '';
  }
  if (query.startsWith(`${text} AND `)) {
    return query.slice(text.length + 5);
  }
  const part = ` AND ${text}`;
  const at = query.includes(`${part} AND `)
    ? query.indexOf(`${part} AND `)
    : query.endsWith(part)
      ? query.length - part.length
      : -1;
  return at < 0 ? query : query.slice(0, at) + query.slice(at + part.length);
}

/** Return whether an OR is outside of parentheses and quotes. */
function hasOpenOr(query: string): boolean {
  let depth = 0;
  let quote = '';
  for (let at = 0; at < query.length; at++) {
    const letter = query[at];
    if (quote) {
      quote = letter === quote ? '' : quote;
    } else if ('\'"`'.includes(letter)) {
      quote = letter;
    } else if (letter === '(' || letter === ')') {
      depth += letter === '(' ? 1 : -1;
    } else if (depth === 0 && /^\bor\b/i.test(query.slice(at, at + 3))) {
      if (at === 0 || /[\s)]/.test(query[at - 1])) {
        return true;
      }
    }
  }
  return false;
}
