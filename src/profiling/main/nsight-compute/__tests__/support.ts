import type {
  IKernelRule,
  IMeasuredKernel,
  IMeasurement
} from '../../../service';

export function makeRule(part: Partial<IKernelRule> = {}): IKernelRule {
  return {
    identifier: 'MemoryCacheAccessPattern',
    title: 'Uncoalesced loads',
    text: 'Each request reads too much.',
    kind: 'optimization',
    section: 'MemoryWorkloadAnalysis_Tables',
    speedup_pct: 72.15,
    of: 'kernel',
    ...part
  };
}

/** A kernel with the figures that a real report has of NVIDIA's example of uncoalesced accesses. */
export function makeMeasuredKernel(
  part: Partial<IMeasuredKernel> = {}
): IMeasuredKernel {
  return {
    name: 'void Sobel<float>(uchar4 *, uchar4 *, int, int)',
    device: '0',
    rank: 0,
    grid: '[64, 64, 1]',
    block: '[16, 16, 1]',
    count: 2,
    total_us: 63.74,
    longest: 0,
    longest_us: 31.9,
    compute_pct: 77.67,
    memory_pct: 46.36,
    dram_pct: 22.19,
    l1_pct: 49.87,
    l2_pct: 21.2,
    l1_hit_pct: 81.43,
    l2_hit_pct: 55.68,
    occupancy_pct: 83.84,
    theoretical_occupancy_pct: 100,
    occupancy_limit: 'warps',
    registers: 22,
    shared_memory_bytes: 0,
    waves: 12.19,
    flops: null,
    dram_bytes: 4265088,
    tflops: null,
    gb_per_s: 133.82,
    bound: 'compute',
    stalls: [
      { reason: 'selected', cycles: 1, pct: 8.4 },
      { reason: 'long_scoreboard', cycles: 2.49, pct: 20.9 },
      { reason: 'not_selected', cycles: 3.36, pct: 28.3 }
    ],
    rules: [makeRule()],
    place: null,
    ...part
  };
}

/** A report without sections tells a kernel's name and time and no more. */
export function makeBareKernel(
  part: Partial<IMeasuredKernel> = {}
): IMeasuredKernel {
  return makeMeasuredKernel({
    name: 'bare',
    compute_pct: null,
    memory_pct: null,
    dram_pct: null,
    l1_pct: null,
    l2_pct: null,
    l1_hit_pct: null,
    l2_hit_pct: null,
    occupancy_pct: null,
    theoretical_occupancy_pct: null,
    occupancy_limit: '',
    registers: null,
    shared_memory_bytes: null,
    waves: null,
    dram_bytes: null,
    gb_per_s: null,
    bound: '',
    stalls: [],
    rules: [],
    ...part
  });
}

export function makeMeasurement(kernels: IMeasuredKernel[]): IMeasurement {
  return {
    kernels,
    launches: kernels.reduce((sum, { count }) => sum + count, 0),
    total_us: kernels.reduce((sum, { total_us }) => sum + total_us, 0),
    note: '',
    more_kernels: 0
  };
}
