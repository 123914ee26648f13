import type {
  IMemoryLine,
  IMemoryMoment,
  IMemoryTimeline,
  ISite
} from '../service';

export function makeSite(part: Partial<ISite> = {}): ISite {
  return {
    name: 'train.py:3:step',
    bytes: 100,
    blocks: 1,
    place: null,
    stack: [],
    category: '',
    ...part
  };
}

function base64(values: Float64Array | Int32Array): string {
  return btoa(
    String.fromCharCode(...new Uint8Array(values.buffer as ArrayBuffer))
  );
}

/** What the server says of a device; bands by their lines' numbers. */
export function makeTimeline(
  part: {
    at?: number[];
    us?: number[];
    held?: number[];
    reserved?: number[];
    bands?: Record<number, number[]>;
  } & Partial<
    Omit<IMemoryTimeline, 'at' | 'us' | 'held' | 'reserved' | 'bands'>
  > = {}
): IMemoryTimeline {
  const {
    at = [0, 1, 2, 3],
    us = [],
    held = [10, 30, 40, 20],
    reserved = [],
    bands = { 7: [10, 20, 20, 20], 2: [0, 10, 15, 0] },
    ...rest
  } = part;
  return {
    number: 0,
    device: 0,
    rank: null,
    moments: 4,
    by_time: false,
    peak: 40,
    peak_at: 2,
    failures: [],
    at: base64(Int32Array.from(at)),
    us: base64(Float64Array.from(us)),
    held: base64(Float64Array.from(held)),
    reserved: base64(Float64Array.from(reserved)),
    bands: Object.entries(bands).map(([line, curve]) => ({
      line: Number(line),
      site: makeSite({ name: `line ${line}` }),
      curve: base64(Float64Array.from(curve))
    })),
    ...rest
  };
}

export function makeMoment(
  at: number,
  lines: IMemoryLine[],
  part: Partial<IMemoryMoment> = {}
): IMemoryMoment {
  return {
    at,
    us: null,
    held: lines.reduce((sum, { site }) => sum + site.bytes, 0),
    reserved: null,
    blocks: lines.length,
    lines,
    more_lines: 0,
    more_bytes: 0,
    categories: [],
    change: null,
    ...part
  };
}
