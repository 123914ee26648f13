/** Group lines with their times by cell or file. */
import type { IAttribution, ILineTime, IPlace } from '../../service';

/** A line of code; `time` if it took some. */
export interface ICodeLine {
  readonly number: number;
  readonly text: string;
  readonly time: ILineTime | null;
  /** Whether its text changed after the profile was recorded. */
  readonly changed: boolean;
}

export interface ICodeGroup {
  readonly key: string;
  /** The name of the cell or file. */
  readonly file: string;
  readonly cell: string;
  /** Time of its lines. */
  readonly us: number;
  readonly lines: readonly ICodeLine[];
  /** Whether all lines are there, or only those with time. */
  readonly whole: boolean;
}

/** The time that compares lines: without a device, host time. */
export type Basis = 'device_us' | 'cpu_us';

export function basisOf(lines: readonly ILineTime[]): Basis {
  return lines.some(({ device_us }) => device_us > 0) ? 'device_us' : 'cpu_us';
}

/**
 * Cells and files, costliest first; `source` returns a cell's text if it is
 * known.
 */
export function codeGroups(
  attribution: Pick<IAttribution, 'lines'>,
  source: (cell: string) => string | null
): ICodeGroup[] {
  const basis = basisOf(attribution.lines);
  const byPlace = new Map<string, ILineTime[]>();
  for (const time of attribution.lines) {
    const key = keyOf(time.place);
    byPlace.set(key, [...(byPlace.get(key) ?? []), time]);
  }
  return [...byPlace]
    .map(([key, times]) => group(key, times, basis, source))
    .sort((one, other) => other.us - one.us);
}

function keyOf({ cell, file }: IPlace): string {
  return cell ? `cell:${cell}` : `file:${file}`;
}

function group(
  key: string,
  times: readonly ILineTime[],
  basis: Basis,
  source: (cell: string) => string | null
): ICodeGroup {
  const { cell, file } = times[0].place;
  const text = cell ? source(cell) : null;
  return {
    key,
    cell,
    file,
    us: times.reduce((sum, time) => sum + time[basis], 0),
    whole: text !== null,
    lines: text === null ? knownLines(times) : sourceLines(text, times)
  };
}

function knownLines(times: readonly ILineTime[]): ICodeLine[] {
  return [...times]
    .sort((one, other) => one.place.line - other.place.line)
    .map(time => ({
      number: time.place.line,
      text: time.place.text,
      time,
      changed: false
    }));
}

function sourceLines(text: string, times: readonly ILineTime[]): ICodeLine[] {
  const found = new Map(times.map(time => [time.place.line, time]));
  const lines = text.split('\n').map((line, index): ICodeLine => {
    const time = found.get(index + 1) ?? null;
    found.delete(index + 1);
    return {
      number: index + 1,
      text: line,
      time,
      changed: time !== null && !isSameLine(time.place.text, line)
    };
  });
  // Lines that are no longer in the cell.
  const gone = [...found.values()].map(time => ({
    number: time.place.line,
    text: time.place.text,
    time,
    changed: true
  }));
  return [...lines, ...gone];
}

/**
 * Whether a line is the profiled one; if its text was shortened, the stored
 * part is compared.
 */
export function isSameLine(profiled: string, now: string): boolean {
  const [kept, text] = [profiled.trim(), now.trim()];
  if (kept === '' || kept === text) {
    return true;
  }
  const parts = kept.split(/\[redacted: [^\]]*\]|…$/);
  return (
    parts.length > 1 &&
    text.startsWith(parts[0]) &&
    (kept.endsWith('…') || text.endsWith(parts[parts.length - 1]))
  );
}

/** Device time of the forward pass. */
export function forwardOf({ device_us, backward_us }: ILineTime): number {
  return Math.max(0, device_us - backward_us);
}
