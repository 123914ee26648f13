import type { TranslationBundle } from '@jupyterlab/translation';

import type { IProfile } from './service';

/** The name and the style of a part of time. */
export interface ITimePart {
  readonly id: 'busy' | 'compute' | 'comm' | 'memory' | 'other' | 'idle';
  readonly label: string;
  readonly us: number;
}

/** The host's time in two parts that add up to its span. */
export function cpuParts(
  cpu: { busy_us: number; idle_us: number },
  trans: TranslationBundle
): ITimePart[] {
  return [
    { id: 'busy', label: trans.__('Operators'), us: cpu.busy_us },
    { id: 'idle', label: trans.__('No operator'), us: cpu.idle_us }
  ];
}

/**
 * A device's time in parts that add up to its span. Compute, communication and
 * copies may overlap: only exposed communication counts, and copies only fill
 * the rest of the busy time.
 */
export function deviceParts(
  device: {
    busy_us: number;
    idle_us: number;
    compute_us: number;
    exposed_comm_us: number;
    memory_us: number;
  },
  trans: TranslationBundle
): ITimePart[] {
  const compute = Math.min(device.compute_us, device.busy_us);
  const comm = Math.min(device.exposed_comm_us, device.busy_us - compute);
  const memory = Math.min(device.memory_us, device.busy_us - compute - comm);
  const other = device.busy_us - compute - comm - memory;
  const parts: ITimePart[] = [
    { id: 'compute', label: trans.__('Compute'), us: compute },
    { id: 'comm', label: trans.__('Communication'), us: comm },
    { id: 'memory', label: trans.__('Memory'), us: memory },
    { id: 'other', label: trans.__('Other'), us: other },
    { id: 'idle', label: trans.__('Idle'), us: device.idle_us }
  ];
  return parts.filter(part => part.us > 0 || part.id === 'idle');
}

/** Whether the profile is a memory snapshot, which has no times. */
export function isSnapshot({ summary }: Pick<IProfile, 'summary'>): boolean {
  return (
    summary !== null && summary.memory !== null && summary.ranks.length === 0
  );
}
