/** What is computed of measured kernels: shares by what bounds them, gains, means of two profiles. */
import type { IKernelRule, IMeasuredKernel, IMeasurement } from '../../service';

export type Bound = IMeasuredKernel['bound'];

/** Kernels' time by what bounds them. */
export interface IBoundTime {
  readonly bound: Bound;
  readonly us: number;
}

/** A rule with what it would save of the time of all launches; null where its estimate is of something else. */
export interface IGain {
  readonly kernel: IMeasuredKernel;
  readonly rule: IKernelRule;
  readonly us: number;
}

/** Changes that save less of a kernel's time are shown apart. */
const SMALL_PCT = 1;

/** A kernel is one launch's number on its rank. */
export function keyOf({ rank, longest }: IMeasuredKernel): string {
  return `${rank}:${longest}`;
}

/** How many kernels were measured, with those that are not told. */
export function kernelCount({
  kernels,
  more_kernels
}: Pick<IMeasurement, 'kernels' | 'more_kernels'>): number {
  return kernels.length + more_kernels;
}

/** The largest first; kernels that the measurement does not tell are unknown. */
export function timeByBound({
  kernels,
  total_us
}: Pick<IMeasurement, 'kernels' | 'total_us'>): IBoundTime[] {
  const times = new Map<Bound, number>();
  for (const kernel of kernels) {
    times.set(kernel.bound, (times.get(kernel.bound) ?? 0) + kernel.total_us);
  }
  const told = kernels.reduce((sum, each) => sum + each.total_us, 0);
  // Sums of rounded lengths differ by less than a millionth.
  if (total_us - told > total_us * 1e-6) {
    times.set('', (times.get('') ?? 0) + total_us - told);
  }
  return [...times]
    .map(([bound, us]) => ({ bound, us }))
    .sort((one, other) => other.us - one.us);
}

/** What a rule would save of the time of all launches of its kernel; null where it estimates no time. */
export function savingOf(
  rule: IKernelRule,
  kernel: Pick<IMeasuredKernel, 'total_us'>
): number | null {
  return rule.of === 'kernel' && rule.speedup_pct !== null
    ? (rule.speedup_pct / 100) * kernel.total_us
    : null;
}

/** Changes by what they gain: of the kernel, of a part of it, without an estimate; remarks are no changes. */
export function changesOf({ rules }: IMeasuredKernel): IKernelRule[] {
  return rules
    .filter(({ kind }) => kind !== 'info')
    .sort(
      (one, other) =>
        weight(other) - weight(one) ||
        (other.speedup_pct ?? 0) - (one.speedup_pct ?? 0)
    );
}

/** Whether a change is estimated to be hardly worth it. */
export function isSmall({ of, speedup_pct }: IKernelRule): boolean {
  return of === 'kernel' && speedup_pct !== null && speedup_pct < SMALL_PCT;
}

export function remarksOf({ rules }: IMeasuredKernel): IKernelRule[] {
  return rules.filter(({ kind }) => kind === 'info');
}

/** The change that gains most of the kernel's time; null where none is estimated. */
export function bestOf(kernel: IMeasuredKernel): IKernelRule | null {
  return (
    changesOf(kernel).find(rule => savingOf(rule, kernel) !== null) ?? null
  );
}

/** The one change that gains most of all kernels' time. */
export function bestGain({ kernels }: IMeasurement): IGain | null {
  return kernels.reduce<IGain | null>((best, kernel) => {
    const rule = bestOf(kernel);
    const us = rule && savingOf(rule, kernel);
    return rule && us !== null && us > (best?.us ?? 0)
      ? { kernel, rule, us }
      : best;
  }, null);
}

function weight({ kind, of, speedup_pct }: IKernelRule): number {
  if (kind === 'error') {
    return 4;
  }
  if (kind === 'optimization' && speedup_pct !== null) {
    return of === 'kernel' ? 3 : 2;
  }
  return kind === 'optimization' ? 1 : 0;
}
