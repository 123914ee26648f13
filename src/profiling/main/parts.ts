/** Parts of a device's time that add up to its span, and their names. */
import type { TranslationBundle } from '@jupyterlab/translation';

import { deviceParts } from '../model';
import type { IDeviceTime, IIdleTime, IProfileSummary } from '../service';

type IdleCode = IIdleTime['reasons'][number]['code'];

/** A part of time; its colour is `--gol-part-<id>`. */
export interface IPart {
  readonly id: string;
  readonly label: string;
  readonly us: number;
}

/** A bar of a picture, such as a device or a step. */
export interface IBar {
  readonly label: string;
  readonly parts: readonly IPart[];
  /** Drawn faint, such as a warm-up step. */
  readonly faint?: boolean;
}

export function idleWord(code: IdleCode, trans: TranslationBundle): string {
  const words: Record<IdleCode, string> = {
    dataloader: trans.__('Idle: waits for data'),
    synchronization: trans.__('Idle: host waits for the device'),
    copy: trans.__('Idle: host copies'),
    launch: trans.__('Idle: host launches'),
    python: trans.__('Idle: host runs other code'),
    communication: trans.__('Idle: communication'),
    other: trans.__('Idle: other')
  };
  return words[code] ?? trans.__('Idle: %1', code);
}

/**
 * Busy time by kind, then idle time by reason; idle time without a reason is
 * "Idle".
 */
export function partsOf(
  device: IDeviceTime,
  idle: IIdleTime | undefined,
  trans: TranslationBundle
): IPart[] {
  const busy = busyParts(device, trans);
  const reasons = (idle?.reasons ?? [])
    .filter(({ total_us }) => total_us > 0)
    .sort((one, other) => other.total_us - one.total_us)
    .map(({ code, total_us }) => ({
      id: `idle-${code}`,
      label: idleWord(code, trans),
      us: total_us
    }));
  const known = reasons.reduce((sum, { us }) => sum + us, 0);
  const rest = Math.max(0, device.idle_us - known);
  // Sums of rounded lengths differ by less than a millionth, which is not a
  // part.
  return rest > device.span_us * 1e-6 || reasons.length === 0
    ? [...busy, ...reasons, { id: 'idle', label: trans.__('Idle'), us: rest }]
    : [...busy, ...reasons];
}

/** Busy and idle time without reasons, of a device or a step. */
export function busyParts(
  time: Parameters<typeof deviceParts>[0],
  trans: TranslationBundle
): IPart[] {
  const words: Record<string, string> = {
    comm: trans.__('Exposed communication'),
    memory: trans.__('Copies and fills')
  };
  return deviceParts(time, trans)
    .filter(({ id }) => id !== 'idle')
    .map(part => ({ ...part, label: words[part.id] ?? part.label }));
}

/** The name of a device, with its rank if there are several. */
export function deviceName(
  { device, rank }: Pick<IDeviceTime, 'device' | 'rank'>,
  ranks: readonly number[],
  trans: TranslationBundle
): string {
  const name = /^\d+$/.test(device) ? trans.__('Device %1', device) : device;
  return ranks.length > 1 ? trans.__('Rank %1, %2', rank, name) : name;
}

/** One bar per device, in the order of ranks. */
export function deviceBars(
  summary: Pick<IProfileSummary, 'devices' | 'idle' | 'ranks'>,
  trans: TranslationBundle
): IBar[] {
  return summary.devices.map(device => ({
    label: deviceName(device, summary.ranks, trans),
    parts: partsOf(
      device,
      summary.idle.find(
        each => each.device === device.device && each.rank === device.rank
      ),
      trans
    )
  }));
}

/**
 * One bar per step; without a device, only its length. A step's device time may
 * end after the step, so idle is the rest of its span.
 */
export function stepBars(
  summary: Pick<IProfileSummary, 'steps' | 'ranks' | 'devices'>,
  trans: TranslationBundle
): IBar[] {
  return summary.steps.map(step => ({
    label:
      summary.ranks.length > 1
        ? trans.__('Rank %1, %2', step.rank, stepName(step.name, trans))
        : stepName(step.name, trans),
    faint: step.warmup,
    parts:
      summary.devices.length > 0
        ? [
            ...busyParts(step, trans),
            { id: 'idle', label: trans.__('Idle'), us: step.idle_us }
          ]
        : [{ id: 'host', label: trans.__('On the host'), us: step.span_us }]
  }));
}

function stepName(name: string, trans: TranslationBundle): string {
  const number = /^ProfilerStep#(\d+)$/.exec(name)?.[1];
  return number === undefined ? name : trans.__('Step %1', number);
}

/** The slowest rank. */
export interface IStraggler {
  readonly rank: number;
  /**
   * Its compute time over the median of all ranks, as a share of the median.
   */
  readonly over: number;
}

/** Above this share of the median, a rank's compute time delays the others. */
const STRAGGLES = 0.05;

/**
 * The rank that computes clearly longest: the others wait for it in their
 * communication.
 */
export function straggler(devices: readonly IDeviceTime[]): IStraggler | null {
  const byRank = new Map<number, number>();
  for (const { rank, compute_us } of devices) {
    byRank.set(rank, Math.max(byRank.get(rank) ?? 0, compute_us));
  }
  const middle = median([...byRank.values()]);
  if (byRank.size < 2 || middle <= 0) {
    return null;
  }
  const [rank, most] = [...byRank].reduce((best, each) =>
    each[1] > best[1] ? each : best
  );
  const over = most / middle - 1;
  return over > STRAGGLES ? { rank, over } : null;
}

export function median(values: readonly number[]): number {
  if (values.length === 0) {
    return 0;
  }
  const sorted = [...values].sort((one, other) => one - other);
  const middle = sorted.length >> 1;
  return sorted.length % 2
    ? sorted[middle]
    : (sorted[middle - 1] + sorted[middle]) / 2;
}
