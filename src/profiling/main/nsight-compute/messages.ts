/**
 * Explain the limit and the stalls of a kernel to users who write PyTorch and
 * Triton.
 */
import type { TranslationBundle } from '@jupyterlab/translation';

import { formatBytes } from '../../../core';
import { formatNumber } from '../../../core/format';
import { formatMicroseconds, formatShare } from '../../figures';
import type { IDeviceTime, IMeasuredKernel } from '../../service';
import { siNumber } from '../tables/columns';

import type { Bound } from './sums';

/** Format percent: `85 %`, with one more digit below ten. */
export function percent(value: number): string {
  return formatShare(value, 100);
}

/** The models of the devices, each once; empty if the report has none. */
export function modelsOf(
  devices: readonly Pick<IDeviceTime, 'model'>[]
): string[] {
  return [...new Set(devices.map(({ model }) => model).filter(Boolean))];
}

export function boundWord(bound: Bound, trans: TranslationBundle): string {
  const words: Record<Bound, string> = {
    compute: trans.__('compute'),
    memory: trans.__('memory'),
    balanced: trans.__('both'),
    latency: trans.__('latency'),
    '': trans.__('not known')
  };
  return words[bound];
}

/** A shape for each limit, so that colour is not the only difference. */
export function boundMark(bound: Bound): string {
  const marks: Record<Bound, string> = {
    compute: '▲',
    memory: '■',
    balanced: '◆',
    latency: '○',
    '': ''
  };
  return marks[bound];
}

/** The limit, and its meaning for a user who wants a faster kernel. */
export function boundSentence(
  kernel: IMeasuredKernel,
  trans: TranslationBundle
): string {
  const { bound, compute_pct, memory_pct } = kernel;
  const compute = compute_pct === null ? '–' : percent(compute_pct);
  const memory = memory_pct === null ? '–' : percent(memory_pct);
  switch (bound) {
    case 'compute':
      return trans.__(
        'Arithmetic limits this kernel (%1 of the peak). Use fewer or cheaper operations: a narrower type, tensor cores, less recomputation. Moving fewer bytes does not help.',
        compute
      );
    case 'memory':
      return `${trans.__(
        'Memory limits this kernel (%1 of the peak). Move fewer bytes: fuse the kernel with its neighbours, use a narrower type, read each value once.',
        memory
      )} ${busiestSentence(kernel, trans)}`.trim();
    case 'balanced':
      return trans.__(
        'Arithmetic and memory are about equally busy (%1 and %2): reduce both.',
        compute,
        memory
      );
    case 'latency':
      return trans.__(
        'Neither arithmetic (%1) nor memory (%2) is busy: the warps stall. Give the kernel more parallel work, or shorten the stalls listed below.',
        compute,
        memory
      );
    default:
      return trans.__(
        'The report has no section “Speed of light”, so the limit of this GPU kernel is not known.'
      );
  }
}

/** The busiest level of memory, if one is clearly busier than the next. */
function busiestSentence(
  { dram_pct, l1_pct, l2_pct }: IMeasuredKernel,
  trans: TranslationBundle
): string {
  const levels: [string, number | null][] = [
    [
      trans.__(
        'The L1 cache and shared memory are busiest, not device memory. Check for bank conflicts and uncoalesced access.'
      ),
      l1_pct
    ],
    [
      trans.__(
        'The L2 cache is busiest. Larger tiles read the same data less often.'
      ),
      l2_pct
    ],
    [trans.__('Device memory is busiest.'), dram_pct]
  ];
  const known = levels
    .filter((each): each is [string, number] => each[1] !== null)
    .sort((one, other) => other[1] - one[1]);
  return known.length > 1 && known[0][1] > known[1][1] + 10 ? known[0][0] : '';
}

/** The occupancy, its limit, and what to change. */
export function occupancySentences(
  kernel: IMeasuredKernel,
  trans: TranslationBundle
): string[] {
  const { occupancy_pct, theoretical_occupancy_pct, occupancy_limit } = kernel;
  if (theoretical_occupancy_pct === null) {
    return [
      trans.__(
        'The report has no section “Occupancy”, so the occupancy limit is not known.'
      )
    ];
  }
  const sentences = [
    theoretical_occupancy_pct >= 99.5
      ? trans.__(
          'Nothing limits the occupancy: each multiprocessor has as many warps as it can take.'
        )
      : limitSentence(kernel, occupancy_limit, trans)
  ];
  if (
    occupancy_pct !== null &&
    theoretical_occupancy_pct - occupancy_pct > 10
  ) {
    sentences.push(shortfallSentence(kernel, trans));
  }
  if (
    theoretical_occupancy_pct < 99.5 &&
    Math.max(kernel.compute_pct ?? 0, kernel.memory_pct ?? 0) >= 80
  ) {
    sentences.push(
      trans.__('A unit is busy already, so more warps would gain little.')
    );
  }
  return sentences;
}

function limitSentence(
  kernel: IMeasuredKernel,
  limit: string,
  trans: TranslationBundle
): string {
  const { registers, shared_memory_bytes, block } = kernel;
  switch (limit) {
    case 'registers':
      return trans.__(
        'Registers limit the occupancy (%1 per thread). Use smaller tiles, more warps per block (num_warps in Triton) or __launch_bounds__ in CUDA.',
        registers ?? '–'
      );
    case 'shared memory':
      return trans.__(
        'Shared memory limits the occupancy (%1 per block). Use smaller tiles or fewer stages (num_stages in Triton).',
        shared_memory_bytes === null ? '–' : formatBytes(shared_memory_bytes)
      );
    case 'blocks':
      return trans.__(
        'The maximum number of blocks per multiprocessor limits the occupancy: blocks of %1 threads are small. Use more threads per block (num_warps in Triton).',
        threadsOf(block)
      );
    case 'warps':
      return trans.__(
        'The maximum number of warps limits the occupancy: blocks of %1 threads leave warps unused. Use smaller blocks.',
        threadsOf(block)
      );
    default:
      return limit
        ? trans.__('Limit of the occupancy: %1.', limit)
        : trans.__('The occupancy limit is not known.');
  }
}

/** The threads of a block such as `[32, 8, 1]`. */
function threadsOf(block: string): string {
  const sides = block.match(/\d+/g) ?? [];
  return sides.length > 0
    ? formatNumber(sides.reduce((product, side) => product * Number(side), 1))
    : '–';
}

function shortfallSentence(
  { waves }: IMeasuredKernel,
  trans: TranslationBundle
): string {
  if (waves !== null && waves < 1) {
    return trans.__(
      'Achieved occupancy is lower because the grid fills only %1 of the device. Use more blocks: smaller tiles, or a split reduction.',
      percent(waves * 100)
    );
  }
  const rest = waves === null ? 0 : waves % 1;
  if (waves !== null && waves < 6 && rest > 0.01 && rest < 0.7) {
    return trans.__(
      'Achieved occupancy is lower because the last of %1 waves is only %2 full. Use another number of blocks.',
      Math.ceil(waves),
      percent(rest * 100)
    );
  }
  return trans.__(
    'Achieved occupancy is lower because blocks end at different times or run too briefly.'
  );
}

/** Format a value with a unit of Nsight Compute: `628 µs`, `6.74 GB/s`. */
export function metricText(value: number | string, unit: string): string {
  if (typeof value === 'string') {
    return value;
  }
  const us = MICROSECONDS[unit];
  if (us !== undefined) {
    return formatMicroseconds(value * us);
  }
  switch (unit) {
    case 'byte':
      return formatBytes(value);
    case 'byte/second':
      return scaled(value, 'B/s');
    case 'cycle/second':
    case 'hz':
      return scaled(value, 'Hz');
    default: {
      const figure =
        Math.abs(value) >= 1e6 ? siNumber(value) : formatNumber(value);
      return unit ? `${figure} ${unit}` : figure;
    }
  }
}

/** `1.3 GHz`, `12 Hz`. */
function scaled(value: number, unit: string): string {
  const figure = siNumber(value);
  return / [A-Za-z]$/.test(figure) ? figure + unit : `${figure} ${unit}`;
}

/** Units of time in reports and in text. */
const MICROSECONDS: Record<string, number> = {
  nsecond: 1e-3,
  ns: 1e-3,
  usecond: 1,
  us: 1,
  msecond: 1e3,
  ms: 1e3,
  second: 1e6,
  s: 1e6
};
