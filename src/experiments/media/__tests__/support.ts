import { nullTranslator } from '@jupyterlab/translation';

import type {
  IHistogramRow,
  IHistograms,
  IMediaEntry,
  IRunMedia,
  MediaService
} from '../service';

export const trans = nullTranslator.load('genops_lab');

/** A picture of a step. */
export function makeEntry(step: number, part: Partial<IMediaEntry> = {}) {
  return {
    step,
    timestamp: 1000 + step,
    path: `images/p+step+${step}.png`,
    size_bytes: 10,
    small: '',
    ...part
  } satisfies IMediaEntry;
}

/** A run with pictures at some steps, and histograms. */
export function makeMedia(
  run_id: string,
  steps: readonly number[],
  names: readonly string[] = ['samples']
): IRunMedia {
  return {
    run_id,
    left_out: 0,
    series: [
      ...names.map(name => ({
        kind: 'image' as const,
        name,
        entries: steps.map(step => makeEntry(step))
      })),
      { kind: 'histogram', name: 'w', entries: [] }
    ]
  };
}

/** Histograms at steps 0, 10, 20, ... */
export function makeHistograms(
  rows: number,
  part: Partial<IHistograms> = {}
): IHistograms {
  return {
    run_id: 'run0',
    name: 'w',
    low: -1,
    high: 1,
    logged: rows,
    rows: Array.from({ length: rows }, (_, index): IHistogramRow => ({
      step: index * 10,
      timestamp: index,
      counts: [1, index, 0, 1],
      finite: index + 2,
      nan: index,
      infinite: 0,
      low: -1,
      high: 1
    })),
    ...part
  };
}

/** Nothing was kept by step. */
export const NO_MEDIA = {
  media: run_id => Promise.resolve({ run_id, series: [], left_out: 0 }),
  histograms: () => Promise.reject(new Error('none'))
} as Pick<MediaService, 'media' | 'histograms'>;
