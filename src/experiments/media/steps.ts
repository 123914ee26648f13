/** Finds the media of a step. */
import type { IMediaEntry, IMediaSeries, IRunMedia } from './service';

/**
 * A kind and name of media, and the series of each run (null if a run has
 * none).
 */
export interface IMediaRow {
  kind: IMediaSeries['kind'];
  name: string;
  series: readonly (IMediaSeries | null)[];
}

const KINDS: readonly IMediaSeries['kind'][] = ['image', 'histogram', 'table'];

/**
 * Return all kinds and names of some runs: pictures first, then histograms,
 * then tables.
 */
export function mediaRows(runs: readonly IRunMedia[]): IMediaRow[] {
  const rows = new Map<string, IMediaRow>();
  for (const kind of KINDS) {
    const names = new Set(
      runs.flatMap(({ series }) =>
        series.filter(each => each.kind === kind).map(({ name }) => name)
      )
    );
    for (const name of [...names].sort((a, b) => a.localeCompare(b))) {
      const series = runs.map(
        run =>
          run.series.find(each => each.kind === kind && each.name === name) ??
          null
      );
      rows.set(`${kind} ${name}`, { kind, name, series });
    }
  }
  return [...rows.values()];
}

/** Return the distinct steps of pictures and tables, in order. */
export function entrySteps(rows: readonly IMediaRow[]): number[] {
  const steps = rows.flatMap(({ series }) =>
    series.flatMap(each => (each?.entries ?? []).map(({ step }) => step))
  );
  return [...new Set(steps)].sort((a, b) => a - b);
}

/**
 * Return the entries of a step, of the last step before it, or else of the
 * first.
 */
export function entriesAt(
  entries: readonly IMediaEntry[],
  step: number
): IMediaEntry[] {
  const place = placeAt(entries, step);
  const found = entries[place];
  return found ? entries.filter(each => each.step === found.step) : [];
}

/**
 * Return the place of a step in ascending steps, of the last step before it, or
 * else 0.
 */
export function placeAt(
  ordered: readonly { step: number }[],
  step: number
): number {
  let low = 0;
  let high = ordered.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ordered[middle].step <= step) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return Math.max(low - 1, 0);
}
