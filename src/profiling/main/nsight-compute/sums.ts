/** Sums of measured kernels: time by limit, savings, means of two profiles. */
import type { IKernelRule, IMeasuredKernel, IMeasurement } from '../../service';

export type Bound = IMeasuredKernel['bound'];

/** Kernel time by limit. */
export interface IBoundTime {
  readonly bound: Bound;
  readonly us: number;
}

/**
 * A rule with its saving over all launches; null if its estimate is not of
 * time.
 */
export interface IGain {
  readonly kernel: IMeasuredKernel;
  readonly rule: IKernelRule;
  readonly us: number;
}

/** Changes with a smaller saving are shown separately. */
const SMALL_PCT = 1;

/** A kernel is identified by its rank and the number of its longest launch. */
export function keyOf({ rank, longest }: IMeasuredKernel): string {
  return `${rank}:${longest}`;
}

/** Number of measured kernels, with those that are left out of the list. */
export function kernelCount({
  kernels,
  more_kernels
}: Pick<IMeasurement, 'kernels' | 'more_kernels'>): number {
  return kernels.length + more_kernels;
}

/** Largest first; kernels that are left out of the list have no known limit. */
export function timeByBound({
  kernels,
  total_us
}: Pick<IMeasurement, 'kernels' | 'total_us'>): IBoundTime[] {
  const times = new Map<Bound, number>();
  for (const kernel of kernels) {
    times.set(kernel.bound, (times.get(kernel.bound) ?? 0) + kernel.total_us);
  }
  const named_us = kernels.reduce((sum, each) => sum + each.total_us, 0);
  // Sums of rounded lengths differ by less than a millionth.
  if (total_us - named_us > total_us * 1e-6) {
    times.set('', (times.get('') ?? 0) + total_us - named_us);
  }
  return [...times]
    .map(([bound, us]) => ({ bound, us }))
    .sort((one, other) => other.us - one.us);
}

/**
 * The saving of a rule over all launches of its kernel; null if it estimates no
 * time.
 */
export function savingOf(
  rule: IKernelRule,
  kernel: Pick<IMeasuredKernel, 'total_us'>
): number | null {
  return rule.of === 'kernel' && rule.speedup_pct !== null
    ? (rule.speedup_pct / 100) * kernel.total_us
    : null;
}

/**
 * Changes by saving: of the kernel, of a part of it, without an estimate. Notes
 * are not changes.
 */
export function changesOf({ rules }: IMeasuredKernel): IKernelRule[] {
  return rules
    .filter(({ kind }) => kind !== 'info')
    .sort(
      (one, other) =>
        weight(other) - weight(one) ||
        (other.speedup_pct ?? 0) - (one.speedup_pct ?? 0)
    );
}

/** Whether the estimated saving of a change is negligible. */
export function isSmall({ of, speedup_pct }: IKernelRule): boolean {
  return of === 'kernel' && speedup_pct !== null && speedup_pct < SMALL_PCT;
}

export function remarksOf({ rules }: IMeasuredKernel): IKernelRule[] {
  return rules.filter(({ kind }) => kind === 'info');
}

/**
 * The change with the largest saving of the kernel's time; null without
 * estimates.
 */
export function bestOf(kernel: IMeasuredKernel): IKernelRule | null {
  return (
    changesOf(kernel).find(rule => savingOf(rule, kernel) !== null) ?? null
  );
}

/** The change with the largest saving of all kernels' time. */
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
