/** Which of what was kept belongs to a step. */
import type { IMediaEntry, IMediaSeries, IRunMedia } from './service';

/** A kind and name of media, and the series of each run (null: that run has none). */
export interface IMediaRow {
  kind: IMediaSeries['kind'];
  name: string;
  series: readonly (IMediaSeries | null)[];
}

const KINDS: readonly IMediaSeries['kind'][] = ['image', 'histogram', 'table'];

/** All kinds and names of some runs: pictures first, then histograms, then tables. */
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

/** The distinct steps of pictures and tables, in their order. */
export function entrySteps(rows: readonly IMediaRow[]): number[] {
  const steps = rows.flatMap(({ series }) =>
    series.flatMap(each => (each?.entries ?? []).map(({ step }) => step))
  );
  return [...new Set(steps)].sort((a, b) => a - b);
}

/** The entries of a step, or of the last one before it; of the first where it is before all. */
export function entriesAt(
  entries: readonly IMediaEntry[],
  step: number
): IMediaEntry[] {
  const place = placeAt(entries, step);
  const found = entries[place];
  return found ? entries.filter(each => each.step === found.step) : [];
}

/** Where in steps that grow a step is, or the last one before it; 0 where it is before all. */
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
