/** Turns two texts into rows side by side, from the changed lines. */
import { diffWordsWithSpace } from 'diff';

import type { ITextChange } from './service';

/** A part of a line; `changed` if the other side differs. */
export interface IPart {
  readonly text: string;
  readonly changed: boolean;
}

/** A line of one side, counted from 1. */
export interface ILine {
  readonly number: number;
  readonly parts: readonly IPart[];
}

/** A row of both sides; a fold stands for `hidden` equal lines. */
export type SideRow =
  | {
      readonly kind: 'equal' | 'changed';
      before: ILine | null;
      after: ILine | null;
    }
  | { readonly kind: 'fold'; readonly hidden: number; readonly first: number };

/** Equal lines that are shown around a change. */
const CONTEXT = 3;
/** A longer line is not compared word by word. */
const MAX_WORDS_LENGTH = 2000;

/**
 * Return the rows of a text beside the baseline's.
 *
 * @param unfolded - the first lines (from 0, of the baseline) of opened folds.
 */
export function sideBySide(
  change: ITextChange,
  unfolded: ReadonlySet<number> = new Set()
): SideRow[] {
  const before = linesOf(change.before);
  const after = linesOf(change.after);
  const changes =
    change.kind === 'changed'
      ? (change.changes ?? [])
      : [[0, before.length, 0, after.length] as const];
  const rows: SideRow[] = [];
  let [old, now] = [0, 0];
  changes.forEach(([beforeStart, beforeEnd, afterStart, afterEnd], index) => {
    equal(rows, before, old, now, beforeStart, index === 0, false, unfolded);
    const count = Math.max(beforeEnd - beforeStart, afterEnd - afterStart);
    for (let i = 0; i < count; i++) {
      const left = beforeStart + i < beforeEnd ? beforeStart + i : null;
      const right = afterStart + i < afterEnd ? afterStart + i : null;
      rows.push(changed(before, after, left, right));
    }
    [old, now] = [beforeEnd, afterEnd];
  });
  equal(rows, before, old, now, before.length, false, true, unfolded);
  const end = rows[rows.length - 1];
  if (end?.kind === 'equal' && end.before?.parts[0].text === '') {
    rows.pop(); // both texts end with a newline, which begins no line
  }
  return rows;
}

function linesOf(text: string | null | undefined): string[] {
  return typeof text === 'string' ? text.split('\n') : [];
}

function equal(
  rows: SideRow[],
  lines: readonly string[],
  from: number,
  fromAfter: number,
  to: number,
  isFirst: boolean,
  isLast: boolean,
  unfolded: ReadonlySet<number>
): void {
  const first = isFirst ? from : from + CONTEXT;
  const last = isLast ? to : to - CONTEXT;
  const fold = last - first > 1 && !unfolded.has(first);
  for (let i = from; i < to; i++) {
    if (fold && i === first) {
      rows.push({ kind: 'fold', hidden: last - first, first });
    }
    if (!fold || i < first || i >= last) {
      const parts = [{ text: lines[i], changed: false }];
      rows.push({
        kind: 'equal',
        before: { number: i + 1, parts },
        after: { number: i - from + fromAfter + 1, parts }
      });
    }
  }
}

function changed(
  before: readonly string[],
  after: readonly string[],
  left: number | null,
  right: number | null
): SideRow {
  const whole = (text: string) => [{ text, changed: false }];
  let [old, now] = [
    left === null ? [] : whole(before[left]),
    right === null ? [] : whole(after[right])
  ];
  if (left !== null && right !== null) {
    [old, now] = words(before[left], after[right]);
  }
  return {
    kind: 'changed',
    before: left === null ? null : { number: left + 1, parts: old },
    after: right === null ? null : { number: right + 1, parts: now }
  };
}

/** Return the words of two lines that differ. */
function words(before: string, after: string): [IPart[], IPart[]] {
  if (before.length + after.length > MAX_WORDS_LENGTH) {
    return [
      [{ text: before, changed: true }],
      [{ text: after, changed: true }]
    ];
  }
  const found = diffWordsWithSpace(before, after);
  const side = (skipped: 'added' | 'removed', marked: 'added' | 'removed') =>
    found
      .filter(part => !part[skipped])
      .map(part => ({ text: part.value, changed: Boolean(part[marked]) }));
  return [side('added', 'removed'), side('removed', 'added')];
}
